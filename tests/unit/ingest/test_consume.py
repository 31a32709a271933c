"""Ingest: what it lands, reports and leaves, in one batch and in a long run."""

import json
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.errors import ConcurrencyError, LogGapError, UnavailableError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, encode
from flywheel.ingest.consume import STEPS
from flywheel.lake.tables import TABLES
from tests.fakes.event_makers import START, keyed, make_event, make_workload
from tests.fakes.waiting import wait_until


class _Stopped(Exception):  # noqa: N818 - no error, the test's own end of a process
    pass


def test_a_batch_lands_whole_and_is_counted(plane):
    """Good events of both topics land, bad ones become dead letters, the report says how many."""
    plane.produce(*range(5))
    plane.produce(2, workload_id="nobody")
    plane.spoil(b"{", b"\xff", b"{")
    plane.comment(1, 2)
    plane.clock.move_to(START + timedelta(days=3))
    report = plane.ingest().run_once()
    assert (report.read, report.lag, report.lost_races) == (11, 0, 0)
    assert report.landed == {"reports": 5}
    assert report.feedback == {"reports": 2}
    assert report.dead_letters == {"unknown_workload": 1, "bad_json": 2, "bad_utf8": 1}
    assert report.commits == 2
    assert 0 < report.decode_seconds < 60
    assert 0 < report.commit_seconds < 60
    rows = plane.lake.rows("SELECT landed_at, day, input FROM inferences ORDER BY timestamp")
    assert {row["landed_at"] for row in rows} == {plane.clock.now()}
    assert [row["input"] for row in rows] == [f"the pump № {number} leaks" for number in range(5)]
    assert {row["day"] for row in rows} == {START.date()}
    assert plane.prove().balances


def test_every_field_of_an_event_reaches_its_column(plane):
    """What a producer wrote is what a reader of the lake finds."""
    event = make_event(3, plane.workload, subject_id="s", trace_id="t", error="slow", margin=0.25)
    plane.log.append(INFERENCES_TOPIC, [(b"k", encode(event))])
    plane.ingest().run_once()
    (row,) = plane.lake.rows("SELECT * FROM inferences")
    names = ("inference_id", "timestamp", "workload_id", "workload_revision", "client_id")
    names += ("subject_id", "trace_id", "route", "release", "base_model", "confidence")
    names += ("margin", "latency_ms", "error", "schema_version")
    assert {name: row[name] for name in names} == {name: getattr(event, name) for name in names}
    assert (row["prompt_tokens"], row["completion_tokens"]) == (20, 1)
    assert row["request"] == bytes(event.request).decode()
    assert row["response"] == bytes(event.response).decode()
    assert row["output"] == bytes(event.output).decode()
    assert (row["topic"], row["offset"]) == (INFERENCES_TOPIC, 0)


def test_an_ingest_that_is_closed_leaves_its_partitions_to_the_next(plane):
    """Both groups are left, so that the next process reads every partition at its next look."""
    first = plane.ingest()
    plane.produce(*range(40))
    plane.comment(*range(40))
    assert first.run_once().read == 80
    second = plane.ingest()
    plane.produce(*range(40, 80))
    plane.comment(*range(40, 80))
    # While the first is a member, the second gets a part of the partitions.
    assert 0 < second.run_once().read < 80
    first.close()
    first.close()  # again, as at the end of a process that failed
    wait_until(lambda: second.run_once().read or not second.lag())
    wait_until(lambda: not (second.run_once().read or second.lag()))
    # One that was closed joins again when it is used.
    plane.produce(*range(80, 90))
    second.close()
    assert first.run_once().read == 10
    assert plane.prove().balances


def test_a_lake_made_before_the_margin_takes_events_with_one(plane, monkeypatch):
    """Rows landed before the column was there are read with null, and landing goes on."""
    handle = plane.lake.handle("inferences")
    table = handle.table
    before = replace(table, schema=table.schema.remove(table.schema.get_field_index("margin")))
    monkeypatch.setattr(handle, "table", before)
    lake_rows = inference_rows(plane, 0).drop_columns("margin")
    plane.lake.append("inferences", lake_rows)
    monkeypatch.undo()
    assert "margin" not in {field.name for field in handle.refresh().schema().fields}
    plane.log.append(
        INFERENCES_TOPIC,
        [keyed(make_event(1, plane.workload, margin=0.4)), keyed(make_event(2, plane.workload))],
    )
    plane.ingest().run_once()
    rows = plane.lake.rows("SELECT margin FROM first_inferences ORDER BY timestamp")
    assert [row["margin"] for row in rows] == [None, 0.4, None]


def inference_rows(plane, number):
    """Return the rows that ingest would have landed of one event."""
    event = make_event(number, plane.workload)
    names = [name for name in TABLES["inferences"].schema.names if hasattr(event, name)]
    texts = {"request", "response", "output"}
    values = {
        name: bytes(getattr(event, name)).decode() if name in texts else getattr(event, name)
        for name in names
    }
    row = values | {
        "topic_id": "before",
        "partition": 0,
        "offset": 0,
        "day": event.timestamp.date(),
        "landed_at": plane.clock.now(),
    }
    return pa.Table.from_pylist([row], schema=TABLES["inferences"].schema)


def test_a_bound_is_kept_and_the_rest_is_lag(plane):
    """A bounded batch reads no more than it may, and says what is left."""
    plane.produce(*range(30))
    ingest = plane.ingest()
    report = ingest.run_once(12)
    assert (report.read, report.lag) == (12, 18)
    assert ingest.run_once().read == 18
    assert ingest.run_once().read == 0


def test_a_bound_holds_over_batches_and_topics(plane, monkeypatch):
    """The last batch before the bound is smaller, and what is left is of the other topic."""
    monkeypatch.setattr("flywheel.ingest.consume.BATCH_RECORDS", 5)
    plane.produce(*range(13))
    plane.comment(*range(9))
    ingest = plane.ingest()
    assert [ingest.run_once(12).read for _ in range(3)] == [12, 10, 0]
    assert plane.prove().balances


def test_a_batch_of_dead_letters_alone_moves_the_position(plane):
    """Without a single valid row the position goes on, and nothing is read again."""
    plane.spoil(b"1", b"2", b"3")
    ingest = plane.ingest()
    assert ingest.run_once().read == 3
    assert plane.ingest().run_once().read == 0
    assert plane.prove().balances


def test_duplicates_are_kept_and_flagged(plane):
    """An id that comes again lands, and is counted once."""
    plane.produce(1, 2, 1)
    plane.ingest().run_once()
    ledger = plane.prove()
    assert (ledger.landed, ledger.distinct_ids, ledger.duplicates) == (3, 2, 1)
    assert plane.lake.rows("SELECT count(*) AS n FROM first_inferences") == [{"n": 2}]


def test_a_record_without_id_gets_that_of_its_call(plane):
    """The id of NVIDIA's record is the same however often it is read or sent."""
    record = {
        "timestamp": 1767225600,
        "workload_id": "reports",
        "client_id": "c",
        "request": {"messages": [{"role": "user", "content": "it leaks"}]},
        "response": {},
    }
    later = record | {"timestamp": 1767225601}
    plane.spoil(*(json.dumps(one).encode() for one in (record, record, later)))
    plane.ingest().run_once()
    assert plane.prove().duplicates == 1
    assert plane.lake.rows("SELECT count(DISTINCT inference_id) AS n FROM inferences") == [{"n": 2}]


@pytest.mark.parametrize("step", STEPS)
def test_a_stop_at_any_step_is_repaired(plane, step):
    """Cut off after a step, in any batch, another process completes it."""
    plane.produce(*range(40))
    plane.spoil(b"{", b"[", b"\xff")
    plane.comment(1, 2, 3)

    def stop(name: str) -> None:
        if name == step:
            raise _Stopped

    for attempt in range(3):
        with pytest.raises(_Stopped):
            plane.ingest(on_step=stop, group=f"attempt-{attempt}").run_once(9)
        assert plane.prove().balances
    plane.ingest(group="b").run_once()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters"), ledger.total("lag")) == (43, 3, 0)


@pytest.mark.parametrize("step", STEPS)
def test_the_same_process_goes_on_after_a_failure(plane, step):
    """A consumer that failed after reading reads the same records again."""
    plane.produce(*range(20))
    failures = iter([True, False, True])

    def fail(name: str) -> None:
        if name == step and next(failures, False):
            raise _Stopped

    ingest = plane.ingest(on_step=fail)

    def drain() -> None:
        while ingest.run_once(6).read:
            pass

    for _ in range(2):
        with pytest.raises(_Stopped):
            drain()
    drain()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("lag")) == (20, 0)


@pytest.mark.parametrize("offset", [0, 3, 9])
def test_a_group_that_moves_the_reader_is_not_believed(plane, offset):
    """Sent back or ahead behind its back, a consumer lands every offset once, in turn."""
    plane.produce(*range(20))
    ingest = plane.ingest()
    ingest.run_once(12)
    plane.produce(*range(20, 40))
    reader = ingest._readers[INFERENCES_TOPIC]
    for partition in reader._consumer.assignment():
        reader._consumer.seek(partition, offset)
    while ingest.run_once(7).lag:
        pass
    ledger = plane.prove()
    assert ledger.balances
    assert ledger.landed == 40


def test_a_contract_that_changes_between_two_tries_still_balances(plane):
    """What was dead before the crash and is good after it lands, and is no longer dead."""
    plane.produce(1)
    plane.produce(2, workload_id="late")
    late = make_workload(id="late")

    def stop(name: str) -> None:
        if name == "dead_letters_written":
            raise _Stopped

    with pytest.raises(_Stopped):
        plane.ingest(on_step=stop, group="a").run_once()
    plane.ingest(plane.workload, late, group="b").run_once()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters")) == (2, 0)


def test_a_lost_log_stops_ingest(plane):
    """Records that are gone before they were read stop everything until someone says so."""
    plane.produce(*range(10))
    for partition in plane.log.end_offsets(INFERENCES_TOPIC):
        plane.log.delete_before(partition, 2)
    with pytest.raises(LogGapError):
        plane.ingest().run_once()
    assert plane.lake.rows("SELECT count(*) AS n FROM inferences") == [{"n": 0}]


def test_records_gather_over_polls_until_a_batch_is_due(plane):
    """What comes little by little lands in one commit, when it is full or has waited."""
    ingest = plane.ingest()
    for number in range(3):
        plane.produce(number)
        assert ingest.gather(0.0) == 1
    assert ingest.due(60.0) == []
    assert ingest.due(60.0, batch_records=3) == ingest.due(0.0) == [INFERENCES_TOPIC]
    landing = ingest.land(INFERENCES_TOPIC)
    assert (landing.report.read, landing.report.commits, len(landing.ages)) == (3, 1, 3)
    assert ingest.due(0.0) == []
    assert plane.lake.handle("inferences").refresh().version() == 1


def test_no_more_waits_than_a_batch_holds(plane):
    """A full batch stops the reading of its topic: that is the back-pressure."""
    plane.produce(*range(30))
    plane.comment(1)
    ingest = plane.ingest()
    for _ in range(5):
        ingest.gather(0.0, batch_records=10)
    assert ingest.waiting()[0] == 11
    assert ingest.waiting()[1] > 0


def test_the_lag_of_what_is_read_here_is_known_by_partition(plane):
    """It counts from the lake's positions, also for what waits unlanded."""
    plane.produce(*range(10))
    ingest = plane.ingest()
    ingest.gather(0.0)
    assert sum(ingest.lags().values()) == 10
    assert len(ingest.lags()) == 4
    ingest.land(INFERENCES_TOPIC)
    assert set(ingest.lags().values()) == {0}


def test_ingest_makes_the_topics_it_reads(plane):
    """A consumer may come before the first producer."""
    plane.log.delete_topic(INFERENCES_TOPIC)
    plane.log.delete_topic(FEEDBACK_TOPIC)
    assert plane.ingest().run_once().read == 0
    assert plane.log.topic(FEEDBACK_TOPIC).partitions == 4


def test_what_was_read_of_a_topic_lands_though_the_topic_is_gone(plane):
    """Gathered and not landed yet when its topic is made anew, a record is not dropped."""
    plane.produce(*range(6))
    ingest = plane.ingest()
    assert ingest.gather(0.0) == 6
    plane.log.delete_topic(INFERENCES_TOPIC)
    plane.log.create_topic(INFERENCES_TOPIC, partitions=2)
    plane.produce(*range(6, 10))
    assert ingest.gather(0.0) == 0
    assert ingest.due(0.0) == [INFERENCES_TOPIC]
    ingest.land(INFERENCES_TOPIC)
    assert ingest.run_once().landed.total() == 4
    ledger = plane.prove()
    assert ledger.balances
    assert ledger.landed == 10


def test_a_reader_that_could_not_join_again_joins_later(plane, monkeypatch):
    """The log away at the moment when a topic was made anew is away for that moment only."""
    ingest = plane.ingest()
    plane.log.delete_topic(INFERENCES_TOPIC)
    real = plane.log.consumer
    away = iter([True])

    def consumer(topic, **options):
        if next(away, False):
            raise UnavailableError("away")
        return real(topic, **options)

    monkeypatch.setattr(plane.log, "consumer", consumer)
    with pytest.raises(UnavailableError):
        ingest.run_once()
    plane.produce(1, 2)
    assert ingest.run_once().read == 2


def lose_races(plane, monkeypatch, outcomes):
    """Let another process be first at each landing for which ``outcomes`` says so."""
    land, turns = plane.lake.land, iter(outcomes)

    def racing(*args, **options):
        if next(turns):
            raise ConcurrencyError("another process was first", next_step="read again")
        return land(*args, **options)

    monkeypatch.setattr(plane.lake, "land", racing)


def test_a_process_that_loses_every_race_gives_up(plane, monkeypatch):
    """Twenty lost races in a row are traffic, and the batch lands; the next one is a fault."""
    plane.produce(1, 2)
    lose_races(plane, monkeypatch, [*[True] * 20, False, *[True] * 21, False])
    report = plane.ingest().run_once()
    assert (report.lost_races, report.landed.total()) == (20, 2)
    plane.produce(3)
    with pytest.raises(ConcurrencyError):
        plane.ingest(group="b").run_once()
    assert plane.ingest(group="c").run_once().landed.total() == 1
    assert plane.prove().balances


@pytest.mark.parametrize(("lost", "gives_up"), [(20, False), (21, True)])
def test_lost_races_count_from_the_batch_that_landed(plane, monkeypatch, lost, gives_up):
    """After a batch that landed, twenty lost races are allowed again, and no more."""
    monkeypatch.setattr("flywheel.ingest.consume.BATCH_RECORDS", 1)
    plane.produce(1, 2)
    lose_races(plane, monkeypatch, [False, *[True] * lost, False])
    ingest = plane.ingest()
    if gives_up:
        with pytest.raises(ConcurrencyError):
            ingest.run_once()
    else:
        assert ingest.run_once().landed.total() == 2


def test_races_lost_before_a_batch_that_landed_do_not_count(plane, monkeypatch):
    """Over a long run many races may be lost, as long as batches land between them."""
    monkeypatch.setattr("flywheel.ingest.consume.BATCH_RECORDS", 2)
    plane.produce(*range(6))
    lose_races(plane, monkeypatch, [*[True] * 15, False] * 6)
    report = plane.ingest().run_once()
    assert report.landed.total() == 6
    assert report.lost_races >= 45
