"""A cycle that a person opens, retries and stops."""

import pytest

from flywheel.errors import NotFoundError, RefusedError
from flywheel.release.four_eyes import requesters
from flywheel.usecases.by_hand import (
    named_cycle,
    open_by_hand,
    present_cycle,
    retry_by_hand,
    stop_by_hand,
)
from tests.fakes.hand_world import START, HandWorld

ANN = {"person": "Ann Li", "reason": "603 labels are there"}


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


def test_the_person_is_recorded_as_the_one_who_asked(world):
    """Cycle, decision and audit name the person, with the numbers that the trigger would judge."""
    cycle = open_by_hand(world, "parts", **ANN)
    [decision] = world.state.decisions.of("parts")
    [row] = world.state.audit.of(f"parts/{cycle.name}")

    assert (cycle.name, cycle.trigger, cycle.opened_by) == ("2026Q4-1", "manual", "Ann Li")
    assert (cycle.watermark, row.actor) == (START, "Ann Li")
    assert (decision.opens, decision.cycle) == (True, cycle.name)
    assert decision.numbers["corrections_threshold"] == 1000
    assert cycle.snapshot["id"] == "parts"


def test_a_second_one_is_refused_with_what_to_do(world):
    """One cycle is open at a time; a refused request leaves no decision."""
    first = open_by_hand(world, "parts", **ANN)
    with pytest.raises(RefusedError, match="still open") as refused:
        open_by_hand(world, "parts", **ANN)

    assert f"flywheel cycle stop parts {first.name}" in refused.value.next_step
    assert len(world.state.decisions.of("parts")) == 1


def test_a_cycle_can_be_opened_in_the_cooldown_and_within_the_same_moment(world):
    """Stopped and opened again: another cycle, not the stopped one."""
    open_by_hand(world, "parts", **ANN)
    stopped = stop_by_hand(
        world, named_cycle(world, "parts", None), person="Bo", reason="wrong labels"
    )
    again = open_by_hand(world, "parts", **ANN)

    assert (stopped.name, stopped.status) == ("2026Q4-1", "stopped")
    assert stopped.status_reason == "stopped by Bo: wrong labels"
    assert (again.name, again.is_open) == ("2026Q4-2", True)
    assert world.state.audit.of("parts/2026Q4-1")[-1].actor == "Bo"


def test_who_asks_for_the_next_attempt_is_a_requester_too(world):
    """The opener stays one, whoever retries."""
    cycle = open_by_hand(world, "parts", **ANN)
    stop_by_hand(world, cycle.ref, person="Bo", reason="hangs")
    attempt = retry_by_hand(world, named_cycle(world, "parts", None), person="Bo", reason="mended")

    assert (attempt.number, attempt.requested_by) == (2, "Bo")
    present = world.state.cycles.get(cycle.ref)
    assert requesters(present, attempt) == ("Ann Li", "Bo")


@pytest.mark.parametrize(("person", "reason"), [("", "x"), ("ann", "  "), ("System", "x")])
def test_a_name_and_a_reason_are_needed(world, person, reason):
    """The system's own name is not a person's."""
    with pytest.raises(RefusedError):
        open_by_hand(world, "parts", person=person, reason=reason)

    assert world.state.cycles.of("parts") == []


def test_without_a_base_model_no_cycle_is_opened(world, monkeypatch):
    """It could not train."""

    def missing(_):
        raise NotFoundError("not built", next_step="run `flywheel base build`")

    monkeypatch.setattr(world, "base", missing)
    with pytest.raises(NotFoundError, match="not built"):
        open_by_hand(world, "parts", **ANN)

    assert world.state.cycles.of("parts") == []


def test_the_present_cycle_is_the_open_one(world):
    """Without any, the error says how one is opened."""
    with pytest.raises(NotFoundError) as none:
        present_cycle(world, "parts")
    cycle = open_by_hand(world, "parts", **ANN)

    assert "flywheel cycle open parts" in none.value.next_step
    assert present_cycle(world, "parts") == cycle


def test_a_cycle_may_move_the_workload_to_another_base(world):
    """Its snapshot names that base; there must be a champion to move."""
    with pytest.raises(RefusedError, match="none to move"):
        open_by_hand(world, "parts", person="ann", reason="try", base_model="smollm2")
    world.state.routes.champion = lambda _: "r1"
    cycle = open_by_hand(world, "parts", person="ann", reason="try", base_model="smollm2")
    assert cycle.opened.workload.base_model == "smollm2"
