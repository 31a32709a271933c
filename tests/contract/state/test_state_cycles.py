"""Cycles open once, one at a time, and move only where they may."""

from datetime import timedelta
from pathlib import Path

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.references import CandidateRef
from flywheel.errors import NotFoundError, RefusedError
from tests.fakes.release_world import make_workload

WORKLOAD = make_workload("defects")


def open_cycle(state, clock, trigger="drift", workload=WORKLOAD, **how):
    return state.cycles.open(
        workload,
        trigger=trigger,
        opened_by="system",
        reason="words changed",
        watermark=clock.now(),
        snapshot={"id": workload.id},
        **how,
    )


def test_cycle_keeps_what_it_was_opened_with(state, clock):
    """Name, watermark, numbers and configuration come back as they went in."""
    cycle = open_cycle(state, clock, numbers={"psi": 0.4})
    assert cycle == state.cycles.get(CycleRef("defects", "2026Q2-1"))
    assert (cycle.status, cycle.attempt, cycle.watermark) == ("open", 1, clock.now())
    assert (cycle.numbers, cycle.snapshot) == ({"psi": 0.4}, {"id": "defects"})
    assert state.cycles.list_open() == [cycle]


def test_same_trigger_evaluated_twice_opens_one_cycle(state, clock):
    """Asking again with the same watermark returns the cycle that is there, even when closed."""
    cycle = open_cycle(state, clock)
    assert open_cycle(state, clock) == cycle
    state.cycles.set_status(cycle.ref, "stopped", "too few examples")
    assert open_cycle(state, clock).name == cycle.name
    assert len(state.cycles.of("defects")) == 1


def test_calendar_opens_one_cycle_a_period(state, clock):
    """Later the same quarter the calendar's trigger is still the same one."""
    cycle = open_cycle(state, clock, trigger="calendar")
    clock.move_to(clock.now() + timedelta(days=30))
    assert open_cycle(state, clock, trigger="calendar") == cycle


def test_second_open_cycle_is_refused(state, clock):
    """Another trigger does not open a cycle beside an open one."""
    open_cycle(state, clock, trigger="calendar")
    with pytest.raises(RefusedError, match="still open"):
        open_cycle(state, clock)


def test_workloads_do_not_block_each_other(state, clock):
    """Every workload may have one open cycle, with the same name."""
    names = {open_cycle(state, clock, workload=make_workload(name)).name for name in ("a", "b")}
    assert names == {"2026Q2-1"}
    assert len(state.cycles.list_open()) == 2
    assert len(state.cycles.list_open("a")) == 1


def test_numbers_count_on_within_a_period(state, clock):
    """The second cycle of a quarter is number 2, the next quarter starts again."""
    names = []
    for days in (0, 10, 91):
        clock.move_to(clock.now() + timedelta(days=days))
        cycle = open_cycle(state, clock)
        state.cycles.set_status(cycle.ref, "stopped", "done")
        names.append(cycle.name)
    assert names == ["2026Q2-1", "2026Q2-2", "2026Q3-1"]


def test_promoted_cycle_is_over(state, clock):
    """No status follows promotion."""
    cycle = open_cycle(state, clock)
    for status in ("training", "awaiting_approval", "approved", "promoted"):
        state.cycles.set_status(cycle.ref, status, "on it goes")
    with pytest.raises(RefusedError, match="cannot become"):
        state.cycles.set_status(cycle.ref, "open", "again")
    with pytest.raises(RefusedError, match="no new attempt"):
        state.cycles.new_attempt(cycle.ref, "again")


def test_cycle_is_not_promoted_unapproved(state, clock):
    """The approval cannot be jumped over."""
    cycle = open_cycle(state, clock)
    state.cycles.set_status(cycle.ref, "awaiting_approval", "gate passed")
    with pytest.raises(RefusedError, match="cannot become"):
        state.cycles.set_status(cycle.ref, "promoted", "never mind")


def test_new_attempt_opens_a_failed_cycle_again(state, clock):
    """The attempts keep their own facts and outcomes."""
    cycle = open_cycle(state, clock)
    candidate = CandidateRef("r1", "m", "d", "run")
    gate = GateReportRef(Path("/runs/gate.json"), "g", "fail")
    state.attempts.record(cycle.ref, 1, candidate)
    state.attempts.record(cycle.ref, 1, gate)
    state.cycles.set_status(cycle.ref, "gated_fail", "worse")
    second = state.cycles.new_attempt(cycle.ref, "more data")
    first = state.cycles.attempt(cycle.ref, 1)
    assert (first.outcome, first.candidate, first.gate) == ("gated_fail", candidate, gate)
    assert (second.number, second.facts, second.ended_at) == (2, {}, None)
    assert state.cycles.get(cycle.ref).status == "open"
    assert [item.number for item in state.attempts.of(cycle.ref)] == [1, 2]


def test_failed_cycle_is_not_reopened_beside_an_open_one(state, clock):
    """A new attempt of an old cycle waits for the open one."""
    old = open_cycle(state, clock)
    state.cycles.set_status(old.ref, "gated_fail", "worse")
    clock.move_to(clock.now() + timedelta(days=1))
    open_cycle(state, clock)
    with pytest.raises(RefusedError, match="opened since"):
        state.cycles.new_attempt(old.ref, "again")


def test_unknown_cycle_is_not_found(state):
    """The error names the workload and the cycle."""
    with pytest.raises(NotFoundError, match="defects has no cycle 2026Q9-1"):
        state.cycles.get(CycleRef("defects", "2026Q9-1"))


def test_every_decision_is_kept(state, clock):
    """Also a trigger that opened nothing leaves its numbers."""
    state.decisions.record("defects", opens=False, reason="calm", numbers={"psi": 0.01})
    cycle = open_cycle(state, clock)
    state.decisions.record(
        "defects",
        opens=True,
        reason="drift",
        numbers={"psi": 0.4},
        trigger="drift",
        cycle=cycle.name,
    )
    calm, drift = state.decisions.of("defects")
    assert (calm.opens, calm.numbers, calm.cycle) == (False, {"psi": 0.01}, None)
    assert (drift.opens, drift.trigger, drift.cycle) == (True, "drift", "2026Q2-1")


def test_every_move_of_a_cycle_is_audited(state, clock):
    """Opening, each status with its reason, and each attempt are in the chain."""
    cycle = open_cycle(state, clock)
    state.cycles.set_status(cycle.ref, "stopped", "too few examples")
    state.cycles.set_status(cycle.ref, "stopped", "told again")
    state.cycles.new_attempt(cycle.ref, "more corrections came")
    rows = state.audit.of("defects/2026Q2-1")
    assert [(row.event, row.details["reason"]) for row in rows] == [
        ("cycle.opened", "words changed"),
        ("cycle.moved", "too few examples"),
        ("cycle.moved", "more corrections came"),
    ]
    state.audit.verify()
