"""What waits for a person: which cycles, and a source that could not be looked at."""

from datetime import timedelta

import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.ports.review_queue import QueueStatus, SetAside
from flywheel.usecases.by_hand import open_by_hand
from flywheel.usecases.waiting import waiting_cycles, waiting_for_people
from tests.fakes.hand_world import START, HandWorld


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
        world.state.cycles.set_status(cycle.ref, status, "why")

    assert [item.kind for item in waiting_cycles(world.state.cycles.of("parts"))] == kinds


def test_a_failure_is_answered_by_the_next_cycle(world):
    """Only the newest cycle's failure waits for a decision."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    world.state.cycles.set_status(cycle.ref, "gated_fail", "worse")
    open_by_hand(world, "parts", person="ann", reason="again")

    assert waiting_cycles(world.state.cycles.of("parts")) == []


def test_an_older_cycle_whose_release_was_tried_again_waits(world):
    """It was taken back once more, after the next cycle had failed."""
    first = open_by_hand(world, "parts", person="ann", reason="now")
    came = ("training", "awaiting_approval", "approved", "releasing", "rolled_back")
    for status in came:
        world.state.cycles.set_status(first.ref, status, "errors")
    second = open_by_hand(world, "parts", person="ann", reason="again")
    world.state.cycles.set_status(second.ref, "stopped", "for the retry")
    world.clock.move_to(world.clock.now() + timedelta(hours=1))
    world.state.cycles.review_again(first.ref, "mended", actor="jon")
    for status in came[2:]:
        world.state.cycles.set_status(first.ref, status, "errors again")

    (item,) = waiting_cycles(world.state.cycles.of("parts"))
    assert (item.kind, first.name in item.text) == ("rolled back", True)


def test_a_queue_that_is_away_hides_nothing_else(world, monkeypatch):
    """It is in the list itself, with the error and what to do."""

    def away(_):
        raise UnavailableError("Label Studio is away", next_step="start it")

    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    world.state.cycles.set_status(cycle.ref, "awaiting_approval", "passed")
    monkeypatch.setattr(world.queue, "status", away)
    items = waiting_for_people(world)

    assert [item.kind for item in items] == ["approval", "not checked"]
    assert "Label Studio is away" in items[1].text
    assert items[1].command == "start it"


def test_disputes_and_new_categories_are_found_in_the_lake(world, monkeypatch):
    """One query each for all workloads; what a workload no longer in the folder left is not shown."""
    answers = {
        "adjudication": [
            {"workload_id": "parts", "n": 3, "since": START},
            {"workload_id": "gone", "n": 9, "since": START},
        ],
        "proposed": [
            {"workload_id": "parts", "name": f"new {n}", "judgments": 9 - n} for n in range(7)
        ],
        "dead_letters": [
            {"topic": topic, "reason": "not_json", "n": 1, "first": START, "last": START}
            | {"example": {"id": "a:0:0", "error": "not JSON"}}
            for topic in ("inferences", "feedback")
        ],
    }

    def rows(query, *_):
        return next(found for word, found in answers.items() if word in query)

    monkeypatch.setattr(world.lake, "rows", rows)
    items = {item.kind: item for item in waiting_for_people(world)}

    assert {kind: item.count for kind, item in items.items()} == {
        "adjudications": 3,
        "new categories": 42,
        "dead letters": 2,
    }
    assert items["new categories"].text.endswith("new 4 (5) and 2 more")
    assert items["adjudications"].command == "flywheel review answer parts --as ANOTHER"
    assert "2 not_json" in items["dead letters"].text


def test_a_workload_file_that_does_not_load_is_in_the_list(world, monkeypatch):
    """The rest of the page stands."""

    def fail(_):
        raise ConfigurationError("parts.yaml: bad key", next_step="correct it")

    monkeypatch.setattr(HandWorld, "workloads", property(fail, lambda *_: None), raising=False)
    [item] = waiting_for_people(world)

    assert (item.kind, item.command) == ("not checked", "correct it")
    assert "parts.yaml: bad key" in item.text


def test_judgments_that_are_left_are_counted(world):
    """The command is the one of the queue that the deployment uses."""
    world.status = QueueStatus(10, 0, 12, 2)
    [item] = waiting_for_people(world)

    assert (item.kind, item.count) == ("reviews", 10)
    assert item.command == "flywheel review answer parts --as NAME"


def test_what_was_set_aside_waits_for_somebody(world):
    """A damaged file of the queue is in the list with its name and reason, one alert for as long."""
    damaged = SetAside("item1.json", None, "its file in the queue is damaged", "item1")
    world.status = QueueStatus(10, 10, 12, 12, set_aside=(damaged,))
    [item] = waiting_for_people(world)

    assert (item.kind, item.workload_id, item.count) == ("set aside", "parts", 1)
    assert item.text.endswith("the first: item1.json: its file in the queue is damaged")
    assert item.command.startswith("flywheel review status parts")
    assert waiting_for_people(world) == [item]
