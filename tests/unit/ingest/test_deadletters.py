"""Dead letters: once per position, listed while dead, replayed once."""

import pytest

from flywheel.errors import DataError, NotFoundError
from flywheel.events import EventContract, encode
from flywheel.ingest.dead_letter_list import DeadLetterFilter, list_dead_letters
from flywheel.ingest.deadletters import (
    DeadLetterId,
    replay,
    show_dead_letter,
)
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
