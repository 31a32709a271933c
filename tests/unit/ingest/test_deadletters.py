"""Dead letters: once per position, listed while dead, replayed once."""

import pyarrow as pa
import pytest

from flywheel.errors import DataError, NotFoundError
from flywheel.events import INFERENCES_TOPIC, EventContract, encode
from flywheel.ingest.dead_letter_list import DeadLetterFilter, list_dead_letters
from flywheel.ingest.deadletters import (
    DeadLetterId,
    replay,
    show_dead_letter,
    write_dead_letters,
)
from flywheel.lake.handles import TableHandle
from flywheel.lake.store import Lake
from tests.fakes.event_makers import make_event, make_workload

_LATE = make_workload(id="late")


@pytest.fixture
def letters(plane):
    """Land two broken values, two events of a workload that comes later, one unknown."""
    plane.produce(1)
    plane.spoil(b"{", b"\xff")
    plane.produce(2, 3, workload_id="late")
    plane.produce(4, workload_id="never")
    plane.ingest().run_once()
    return plane


def _contract(plane) -> EventContract:
    return EventContract([plane.workload, _LATE])


def test_the_list_names_each_with_its_reason(letters):
    """Listing can be narrowed by reason, and never shows raw bytes."""
    rows = list_dead_letters(letters.lake)
    assert sorted(row.reason for row in rows) == [
        "bad_json",
        "bad_utf8",
        *["unknown_workload"] * 3,
    ]
    assert all(row.bytes for row in rows)
    assert len(list_dead_letters(letters.lake, DeadLetterFilter(reason="bad_json"))) == 1
    assert list_dead_letters(letters.lake, DeadLetterFilter(topic="elsewhere")) == []
    assert len(list_dead_letters(letters.lake, limit=2)) == 2


def test_one_is_shown_with_its_bytes(letters):
    """The id that the list gives leads to the bytes as they came."""
    (row,) = list_dead_letters(letters.lake, DeadLetterFilter(reason="bad_utf8"))
    letter = DeadLetterId.parse(row.id)
    assert str(letter) == row.id
    assert show_dead_letter(letters.lake, letter)["raw"] == b"\xff"
    with pytest.raises(NotFoundError):
        show_dead_letter(letters.lake, DeadLetterId("t", 0, 99))
    with pytest.raises(DataError):
        DeadLetterId.parse("nonsense")
    assert DeadLetterId.parse("a:b:3:7") == DeadLetterId("a:b", 3, 7)


def test_a_replay_lands_what_is_good_now(letters):
    """Under a contract that knows the workload, its events land at their old positions."""
    report = replay(letters.lake, _contract(letters), now=letters.clock.now())
    assert report.landed == {"late": 2}
    assert report.still_dead == {"bad_json": 1, "bad_utf8": 1, "unknown_workload": 1}
    assert len(list_dead_letters(letters.lake)) == 3
    ledger = letters.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters")) == (3, 3)


def test_replaying_twice_adds_nothing(letters):
    """A dead letter that has landed is not replayed again."""
    for expected in ({"late": 2}, {}):
        report = replay(letters.lake, _contract(letters), now=letters.clock.now())
        assert report.landed == expected
    assert letters.prove().landed == 3


def test_a_replay_can_be_narrowed(letters):
    """One letter or one reason alone is replayed."""
    contract, now = _contract(letters), letters.clock.now()
    assert not replay(letters.lake, contract, now=now, reason="bad_json").landed
    rows = list_dead_letters(letters.lake, DeadLetterFilter(reason="unknown_workload"))
    assert len({row.id for row in rows}) == 3
    landed = 0
    for row in rows:
        letter = DeadLetterId.parse(row.id)
        report = replay(letters.lake, contract, now=now, letters=[letter])
        assert sum(report.landed.values()) + sum(report.still_dead.values()) == 1
        landed += sum(report.landed.values())
    assert landed == 2


def test_a_replayed_duplicate_counts_once(letters):
    """An event that was sent again meanwhile is the first, the replayed one its duplicate."""
    event = make_event(2, letters.workload, workload_id="late")
    letters.log.append("flywheel.inferences", [(b"k", encode(event))])
    letters.ingest(letters.workload, _LATE, group="again").run_once()
    replay(letters.lake, _contract(letters), now=letters.clock.now())
    ledger = letters.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.duplicates) == (4, 1)


def test_many_letters_are_replayed_in_rounds(plane, monkeypatch):
    """A round takes only so many, and the next goes on after them."""
    monkeypatch.setattr("flywheel.ingest.deadletters._ROUND", 4)
    plane.produce(*range(11), workload_id="late")
    plane.spoil(b"{", b"}")
    plane.ingest().run_once()
    report = replay(plane.lake, _contract(plane), now=plane.clock.now())
    assert report.landed == {"late": 11}
    assert report.still_dead == {"bad_json": 2}


def test_what_ingest_has_not_passed_is_left_to_it(plane):
    """A dead letter of a batch that was cut off is not landed by a replay and again by ingest."""
    plane.produce(1, workload_id="late")

    def stop(name: str) -> None:
        if name == "dead_letters_written":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plane.ingest(on_step=stop, group="a").run_once()
    assert not replay(plane.lake, _contract(plane), now=plane.clock.now()).landed
    plane.ingest(plane.workload, _LATE, group="b").run_once()
    ledger = plane.prove()
    assert ledger.balances
    assert (ledger.landed, ledger.total("dead_letters")) == (1, 0)


def test_new_dead_letters_are_written_without_reading_those_before(plane, monkeypatch):
    """However many are stored, a batch costs what is in it; only the first of a partition looks."""
    plane.spoil(b"{")
    ingest = plane.ingest()
    ingest.run_once()
    queries = []
    query = Lake.query

    def counted(lake, sql, *arguments):
        queries.append(sql)
        return query(lake, sql, *arguments)

    monkeypatch.setattr(Lake, "query", counted)
    plane.spoil(b"}")
    ingest.run_once()
    assert not [sql for sql in queries if "stored.dead_letters" in sql]
    monkeypatch.undo()
    assert plane.prove().total("dead_letters") == 2


def _rows(*offsets, partition=0):
    count = len(offsets)
    columns = {
        "topic_id": ["t"] * count,
        "topic": [INFERENCES_TOPIC] * count,
        "partition": pa.array([partition] * count, pa.int32()),
        "offset": list(offsets),
        "raw": [b"{"] * count,
        "reason": ["bad_json"] * count,
    }
    return pa.table(columns)


def test_a_batch_that_is_read_again_adds_what_is_missing(tmp_path):
    """Cut off before it landed, it comes again longer, shorter, or under a contract that refuses more."""
    lake = Lake(tmp_path)
    assert write_dead_letters(lake, _rows(3, 7), {("t", 0): (0, 10)}) == 2
    assert write_dead_letters(lake, _rows(3, 7, 12), {("t", 0): (0, 15)}) == 1
    assert write_dead_letters(lake, _rows(3, 5), {("t", 0): (0, 6)}) == 1
    assert write_dead_letters(lake, _rows(12), {("t", 0): (6, 15)}) == 0
    stored = lake.rows('SELECT "offset" FROM stored.dead_letters ORDER BY 1')
    assert [row["offset"] for row in stored] == [3, 5, 7, 12]


@pytest.mark.parametrize(("partition", "tries"), [(1, 1), (0, 2)])
def test_two_that_write_at_once(tmp_path, monkeypatch, partition, tries):
    """Of one partition the second looks again, and nothing is there twice; others are not waited for."""
    lake, other = Lake(tmp_path), Lake(tmp_path)
    for number in range(2):
        write_dead_letters(lake, _rows(0, partition=number), {("t", number): (0, 1)})
    theirs = _rows(4, 5, partition=partition), {("t", partition): (1, 6)}
    appended = []
    append = TableHandle.append

    def raced(handle, rows, marks):
        appended.append(rows)
        if len(appended) == 1:
            write_dead_letters(other, *theirs)
        append(handle, rows, marks)

    monkeypatch.setattr(TableHandle, "append", raced)
    written = write_dead_letters(lake, _rows(4, 5, 8), {("t", 0): (1, 9)})
    assert written == (1 if partition == 0 else 3)
    assert len(appended) == tries + 1  # the other's among them
    stored = lake.rows('SELECT "partition" AS p, "offset" AS o FROM stored.dead_letters')
    positions = [(row["p"], row["o"]) for row in stored]
    assert len(positions) == len(set(positions)) == (5 if partition == 0 else 7)


def test_what_another_writes_before_the_query_is_not_written_again(tmp_path, monkeypatch):
    """The query brings the snapshot past the other's commit, so that no conflict would tell."""
    lake, other = Lake(tmp_path), Lake(tmp_path)
    write_dead_letters(lake, _rows(0, partition=1), {("t", 1): (0, 1)})
    query, raced = Lake.query, []

    def late(queried, sql, *arguments, **options):
        if queried is lake and not raced:
            raced.append(sql)
            write_dead_letters(other, _rows(500, 520, partition=1), {("t", 1): (1, 600)})
        return query(queried, sql, *arguments, **options)

    monkeypatch.setattr(Lake, "query", late)
    rows = pa.concat_tables([_rows(3, partition=0), _rows(500, 520, partition=1)])
    assert write_dead_letters(lake, rows, {("t", 0): (0, 10), ("t", 1): (1, 600)}) == 1
    assert raced
    stored = lake.rows(
        'SELECT "partition" AS p, "offset" AS o FROM stored.dead_letters ORDER BY ALL'
    )
    assert [(row["p"], row["o"]) for row in stored] == [(0, 3), (1, 0), (1, 500), (1, 520)]
