"""What waits for a person: which cycles, and a source that could not be looked at."""

import pytest

from flywheel.errors import UnavailableError
from flywheel.ports.review_queue import QueueStatus
from flywheel.turn.by_hand import open_by_hand
from flywheel.turn.waiting import waiting_cycles, waiting_for_people
from tests.fakes.hand_world import HandWorld


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize(
    ("statuses", "kinds"),
    [
        (["open"], []),
        (["training"], []),
        (["awaiting_approval"], ["approval"]),
        (["awaiting_approval", "expired"], ["approval"]),
        (["awaiting_approval", "approved"], []),
        (["gated_fail"], ["failed gate"]),
        (["stopped"], ["failed gate"]),
        (["awaiting_approval", "rejected"], []),
    ],
)
def test_what_a_cycle_waits_for(world, statuses, kinds):
    """A verdict, or a decision after a failure; what runs or is decided waits for nobody."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    for status in statuses:
        world.state.set_cycle_status("parts", cycle.name, status, "why")

    assert [item.kind for item in waiting_cycles(world.state.cycles("parts"))] == kinds


def test_a_failure_is_answered_by_the_next_cycle(world):
    """Only the newest cycle's failure waits for a decision."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    world.state.set_cycle_status("parts", cycle.name, "gated_fail", "worse")
    open_by_hand(world, "parts", person="ann", reason="again")

    assert waiting_cycles(world.state.cycles("parts")) == []


def test_a_queue_that_is_away_hides_nothing_else(world, monkeypatch):
    """It is in the list itself, with the error and what to do."""

    def away(_):
        raise UnavailableError("Label Studio is away", next_step="start it")

    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    world.state.set_cycle_status("parts", cycle.name, "awaiting_approval", "passed")
    monkeypatch.setattr(world.queue, "status", away)
    items = waiting_for_people(world)

    assert [item.kind for item in items] == ["approval", "not checked"]
    assert "Label Studio is away" in items[1].text
    assert items[1].command == "start it"


def test_judgments_that_are_left_are_counted(world):
    """The command is the one of the queue that the deployment uses."""
    world.status = QueueStatus(10, 0, 12, 2)
    [item] = waiting_for_people(world)

    assert (item.kind, item.count) == ("reviews", 10)
    assert item.command == "flywheel review answer parts --as NAME"
