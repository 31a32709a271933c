"""Where a cycle stands after its promotion, and which release is its own."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flywheel.release.rollback import rollback
from flywheel.release.standing import Standing, cycle_standing, cycle_standings, release_of
from flywheel.state import AuditRow, Cycle, Release
from tests.fakes.release_world import START
from tests.fakes.state_rows import RELEASE

DAY = timedelta(days=1)
CYCLE = Cycle(
    workload_id="w",
    name="2026Q2-1",
    trigger="calendar",
    trigger_key="",
    opened_by="system",
    reason="the quarter began",
    status="promoted",
    status_reason="r1 is champion",
    attempt=2,
    watermark=START,
    numbers={},
    snapshot={},
    opened_at=START,
    changed_at=START,
)
R1 = replace(RELEASE, attempt=2)


def successor(name: str, days: int | None, replaced: str = "r1") -> Release:
    """Return a release of another cycle that was to replace one, promoted after so many days."""
    promoted_at = None if days is None else START + days * DAY
    return replace(R1, release=name, cycle=name, replaced=replaced, promoted_at=promoted_at)


def event(name: str, actor: str, days: int) -> AuditRow:
    """Return an audit row about the cycle."""
    return AuditRow(days, START + days * DAY, name, "w/2026Q2-1", actor, {"reason": "bad"}, "", "")


def test_cycle_that_did_not_end_in_a_promotion_says_its_own_status():
    """Its reason is that of its status, else why it was opened; so is that of a lost release."""
    waiting = replace(CYCLE, status="awaiting_approval", status_reason="the gate passed")
    assert cycle_standing(waiting, [R1]) == Standing("awaiting approval", "the gate passed")
    opened = replace(CYCLE, status="open", status_reason="")
    assert cycle_standing(opened, []) == Standing("open", "the quarter began")
    assert cycle_standing(CYCLE, []) == Standing("promoted", "r1 is champion")


def test_champion_stands_as_promoted():
    """Nothing came afterwards."""
    assert cycle_standing(CYCLE, [R1]) == Standing("promoted", "r1 is champion")


def test_retired_release_names_the_last_that_replaced_it():
    """A candidate that was to replace it and never did is not named, nor one that replaced another."""
    retired = replace(R1, status="retired")
    others = [successor("r4", 90, "r2"), successor("r3", 60), successor("r2", 30)]
    standing = cycle_standing(CYCLE, [*others, successor("r5", None), retired])
    assert standing == Standing("promoted", "r1, version 1.0.0, was champion until r3 replaced it")
    alone = cycle_standing(CYCLE, [successor("r5", None), retired])
    assert alone.reason == "r1, version 1.0.0, was champion"


def test_rolled_back_release_says_when_by_whom_and_why():
    """Of two rollbacks the last; without one in the audit, that it was rolled back."""
    back = replace(R1, status="rolled_back")
    audit = [event("rollback.done", "eve", 1), event("rollback.done", "bob", 3)]
    standing = cycle_standing(CYCLE, [back], [*audit, event("cycle.changed", "ann", 5)])
    day = START + 3 * DAY
    assert standing == Standing(
        "rolled back", f"r1, version 1.0.0, was rolled back on {day:%Y-%m-%d} by bob: bad"
    )
    assert cycle_standing(CYCLE, [back]).reason == "r1, version 1.0.0, was rolled back"


@pytest.mark.parametrize(
    ("releases", "own"),
    [
        ([], None),
        ([("a", 1, True)], None),  # of an earlier attempt
        ([("a", 2, False), ("b", 2, False)], "b"),
        ([("a", 2, True), ("b", 2, False)], "a"),
        ([("a", 2, True), ("b", 2, True), ("c", 1, True)], "b"),
    ],
)
def test_own_release_is_the_newest_of_the_present_attempt_a_promoted_one_first(releases, own):
    """Releases of (name, attempt, promoted), oldest first."""
    made = [
        replace(R1, release=name, attempt=attempt, promoted_at=START if promoted else None)
        for name, attempt, promoted in releases
    ]
    elsewhere = replace(R1, release="x", cycle="2026Q3-1")
    found = release_of(CYCLE, [*made, elsewhere])
    assert (None if found is None else found.release) == own


def test_every_cycle_of_a_workload_stands_by_its_name(world):
    """Read from the state: one rolled back, with its reason from the audit, and one that waits."""
    world.promoted("r1")
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    waiting = world.judged("r2")
    first, second = cycle_standings(world.state, world.workload.id).items()
    assert first[1].status == "rolled back"
    assert first[1].reason.endswith("by eve: bad")
    assert second == (waiting.name, Standing("awaiting approval", second[1].reason))
