"""The ledger balances when it should, and only then."""

import sqlite3

import pyarrow as pa
import pytest

from flywheel.errors import IntegrityError, RefusedError
from flywheel.events import INFERENCES_TOPIC
from flywheel.ingest.gaps import declare_gap
from flywheel.ingest.ledger import count_ids, require_balance


def _stored(plane) -> pa.Table:
    return plane.lake.query("SELECT * FROM stored.inferences")


def test_an_empty_log_balances(plane):
    """Nothing produced, nothing landed."""
    ledger = plane.prove()
    assert ledger.balances
    require_balance(ledger)
    assert len(ledger.partitions) == 4


def test_unread_records_are_lag(plane):
    """What was not read yet is accounted for as such."""
    plane.produce(*range(10))
    plane.ingest().run_once(4)
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.total("produced"), ledger.total("lag"), ledger.landed) == (10, 6, 4)


def test_ids_are_counted_of_each_table(plane):
    """Calls and comments are two tables, each with its rows, its ids and its repetitions."""
    plane.produce(1, 2, 3, 1)
    plane.comment(1, 2, 2, 2, 2)
    plane.ingest().run_once()
    calls = {"landed": 4, "distinct_ids": 3, "duplicates": 1}
    assert count_ids(plane.lake, "inferences") == calls
    comments = {"landed": 5, "distinct_ids": 2, "duplicates": 3}
    assert count_ids(plane.lake, "feedback") == comments


def test_a_topic_that_is_recreated_during_the_count_is_counted_again(plane, monkeypatch):
    """The ends of the new topic are not compared with the positions of the old one."""
    plane.produce(*range(10))
    plane.ingest().run_once()
    real, calls = plane.log.end_offsets, []

    def end_offsets(topic):
        calls.append(topic)
        if calls == [INFERENCES_TOPIC] * 2:
            plane.log.delete_topic(INFERENCES_TOPIC)
            plane.log.create_topic(INFERENCES_TOPIC, partitions=3)
            plane.produce(*range(10, 14))
        return real(topic)

    monkeypatch.setattr(plane.log, "end_offsets", end_offsets)
    ledger = plane.prove()
    assert ledger.balances
    assert len(ledger.partitions) == 3 + 2
    assert ledger.total("lag") == 4


def test_a_lost_row_is_seen(plane):
    """A row taken out of the lake unbalances its partition, and the error names it."""
    plane.produce(*range(10))
    plane.ingest().run_once()
    rows = _stored(plane)
    first = rows["inference_id"][0].as_py()
    plane.lake.replace("inferences", rows.slice(0, 0), where={"inference_id": first})
    ledger = plane.prove()
    assert ledger.total("difference") == 1
    with pytest.raises(IntegrityError, match=r"by 1 \(0 twice\)"):
        require_balance(ledger)


def test_a_doubled_row_is_seen(plane):
    """A position that landed twice unbalances, even if another one is missing."""
    plane.produce(*range(10))
    plane.ingest().run_once()
    rows = _stored(plane)
    one, other = (rows["inference_id"][index].as_py() for index in (0, 1))
    plane.lake.replace("inferences", rows.slice(0, 0), where={"inference_id": other})
    plane.lake.append("inferences", rows.slice(0, 1))
    ledger = plane.prove()
    assert one != other
    assert not ledger.balances
    assert ledger.total("twice") == 1


def test_a_dead_letter_that_ingest_has_not_passed_is_still_lag(plane):
    """Cut off between dead letter and position, the record at the position counts once, as unread."""
    plane.spoil(b"{")

    def stop(name: str) -> None:
        if name == "dead_letters_written":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plane.ingest(on_step=stop, group="a").run_once()
    ledger = plane.prove()
    assert (ledger.total("dead_letters"), ledger.total("lag")) == (0, 1)
    assert ledger.balances
    plane.ingest(group="b").run_once()
    ledger = plane.prove()
    assert (ledger.total("dead_letters"), ledger.total("lag")) == (1, 0)
    assert ledger.balances


def test_a_declared_gap_lets_ingest_go_on(plane):
    """Offsets that the log lost are declared by a person, and the ledger counts them."""
    plane.produce(*range(20))
    ends = plane.log.end_offsets(INFERENCES_TOPIC)
    for partition in ends:
        plane.log.delete_before(partition, 3)
    for partition in ends:
        lost = declare_gap(
            plane.log,
            plane.lake,
            topic=INFERENCES_TOPIC,
            partition=partition.number,
            declared_by="operator",
            reason="the disk was full",
            now=plane.clock.now(),
        )
        assert lost == 3
    declared = plane.prove()  # the gap ends exactly where reading goes on
    assert declared.balances
    assert (declared.total("gap"), declared.total("lag")) == (6, 14)
    plane.ingest().run_once()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("gap"), ledger.total("produced")) == (14, 6, 20)


def test_a_gap_that_is_none_is_refused(plane):
    """Nobody can declare away what is still there."""
    plane.produce(1)
    for number in (0, 1, 9):
        with pytest.raises(RefusedError):
            declare_gap(
                plane.log,
                plane.lake,
                topic=INFERENCES_TOPIC,
                partition=number,
                declared_by="operator",
                reason="no reason",
                now=plane.clock.now(),
            )


def _take_out(plane, *offsets: int) -> None:
    # The embedded log has no holes of its own; Kafka's markers and compaction make such.
    with sqlite3.connect(plane.home / "log.db") as connection:
        marks = ", ".join("?" for _ in offsets)
        connection.execute(f'DELETE FROM records WHERE "offset" IN ({marks})', offsets)
    connection.close()


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_offsets_without_a_record_are_no_loss(plane, batch):
    """Holes in the middle and at the start are counted as they are passed, not as produced."""
    plane.produce(*range(40))
    _take_out(plane, 0, 3, 4, 5, 9)
    ingest = plane.ingest()
    while ingest.run_once(batch).read:
        pass
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.total("holes"), ledger.total("lag")) == (10, 0)
    assert ledger.landed == ledger.total("produced") == 30


def test_a_stop_between_two_steps_counts_a_hole_once(plane):
    """What was read and not committed is read and counted again."""
    plane.produce(*range(20))
    _take_out(plane, 2)

    def stop(name: str) -> None:
        if name == "dead_letters_written":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plane.ingest(on_step=stop, group="a").run_once()
    plane.ingest(group="b").run_once()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.total("holes"), ledger.landed) == (2, 18)


def test_a_row_lost_beside_a_hole_is_seen(plane):
    """A hole explains itself alone."""
    plane.produce(*range(20))
    _take_out(plane, 2)
    plane.ingest().run_once()
    rows = _stored(plane)
    first = rows["inference_id"][0].as_py()
    plane.lake.replace("inferences", rows.slice(0, 0), where={"inference_id": first})
    assert plane.prove().total("difference") == 1
