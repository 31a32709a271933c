"""The page of what waits for a person, and the alerts about it."""

import json

import dagster as dg
import pytest

from flywheel.errors import UnavailableError
from flywheel.orchestration.automation import Automation
from flywheel.ports.review_queue import QueueStatus
from flywheel.usecases.by_hand import open_by_hand
from sensors.waiting import waiting_sensor
from tests.fakes.hand_world import HandWorld


@pytest.fixture
def world(tmp_path):
    world = HandWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture
def tick(world):
    """Return a function that evaluates the sensor with the cursor that it left."""
    sensor = waiting_sensor(Automation())
    cursor = None

    def evaluate():
        nonlocal cursor
        with dg.build_sensor_context(cursor=cursor, resources={"platform": world}) as context:
            result = sensor(context)
        cursor = result.cursor
        return result

    return evaluate


def test_an_empty_list_is_shown_once(world, tick):
    """Nothing waits, and the page says so."""
    first, second = tick(), tick()

    assert first.asset_events[0].description == "nothing waits for a person"
    assert not second.asset_events
    assert world.alerts.alerts == []


def test_what_begins_to_wait_is_shown_and_sent_once(world, tick):
    """A count that changes renews the page; an alert is not repeated."""
    cycle = open_by_hand(world, "parts", person="ann", reason="now")
    world.state.cycles.set_status(cycle.ref, "inconclusive", "too few <cases>")
    world.status = QueueStatus(10, 0, 12, 2, "x")
    [event] = tick().asset_events
    world.status = QueueStatus(10, 1, 12, 3, "y")
    [again] = tick().asset_events

    assert event.metadata["count: failed gate"].value == 1
    assert [e.metadata["count: reviews"].value for e in (event, again)] == [10, 9]
    assert "too few &#60;cases&#62;" in event.metadata["waiting"].value
    assert sorted(alert.kind for alert in world.alerts.alerts) == ["failed gate", "reviews"]
    assert all(alert.url.endswith("waiting_for_a_person") for alert in world.alerts.alerts)


def test_an_alert_that_was_not_sent_is_named_and_sent_later(world, tick):
    """A webhook that is away stops nothing and loses nothing."""
    world.status = QueueStatus(10, 0, 12, 2, "x")
    world.alerts.error = UnavailableError("the webhook is away")
    [event] = tick().asset_events
    world.alerts.error = None
    [later] = tick().asset_events

    assert event.metadata["alerts not sent"].value == "the webhook is away"
    assert "alerts not sent" not in later.metadata
    assert [alert.kind for alert in world.alerts.alerts] == ["reviews"]


def test_what_waits_again_is_sent_again(world, tick):
    """A queue that was empty in between begins anew."""
    for status in (QueueStatus(1, 0, 1, 0), QueueStatus(1, 1, 1, 1), QueueStatus(2, 1, 2, 1)):
        world.status = status
        result = tick()

    assert len(world.alerts.alerts) == 2
    assert json.loads(result.cursor)["sent"] == ["parts:reviews"]
