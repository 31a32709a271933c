"""A canary that fails what it is asked is taken back by itself, from the landed events to the routes."""

import random
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.lake.tables import TABLES
from flywheel.usecases.release_path import watch_release
from flywheel.usecases.waiting import waiting_cycles
from tests.fakes.release_world import ReleaseWorld, make_workload
from tests.fakes.small_deployment import build_base
from tests.fakes.stage_world import event
from tests.fakes.workload_file import put_workload

CANARY = {"shadow": None, "canary": [{"share": 0.5, "days": 1, "minimum_answers": 50}]}
FAILED = {"response": None, "output": None, "latency_ms": None, "error": "503 unavailable"}


@pytest.fixture
def world(tmp_path, registry):
    """Return a deployment whose champion is r1 and whose canary, for half of the people, is r2."""
    made = ReleaseWorld(tmp_path, registry)
    made.base = build_base(tmp_path, made)
    made.promoted("r1")
    made.workload = make_workload(made.workload.id, release=CANARY)
    put_workload(tmp_path / "workloads", made.workload)
    made.promote(made.approved("r2"))
    yield made
    made.close()


def land(world, *, share_of_errors, count=900, failed=FAILED):
    """Land so many requests, every 20 seconds, of which the canary fails a share."""
    rng, start = random.Random(1), world.clock.now()  # noqa: S311 - a simulation
    rows = []
    for number in range(count):
        row = event(start + number * timedelta(seconds=20), f"e-{number}")
        row |= {"workload_id": world.workload.id, "latency_ms": rng.uniform(10, 100)}
        if rng.random() < 0.5:
            row |= {"route": "canary", "release": "r2"}
            if rng.random() < share_of_errors:
                row |= failed
        position = {"topic": "t", "topic_id": "t", "partition": 0, "offset": number}
        rows.append(
            row | position | {"landed_at": row["timestamp"], "day": row["timestamp"].date()}
        )
    world.lake.append("inferences", pa.Table.from_pylist(rows, schema=TABLES["inferences"].schema))
    world.clock.move_to(start + timedelta(hours=5))


def routes(world):
    return {route.route: route.release for route in world.state.routes.of(world.workload.id)}


@pytest.mark.parametrize("response", [None, "null"])
def test_a_canary_that_fails_requests_is_taken_back(world, response):
    """Nobody asks for it: the sensor's look does it, says why, and the aliases follow.

    The gateway writes the response that there is not as JSON's null.
    """
    assert routes(world) == {"champion": "r1", "canary": "r2"}
    land(world, share_of_errors=0.2, failed=FAILED | {"response": response})
    platform, name = world.platform(), world.workload.id
    watch = watch_release(platform, name)
    assert (watch.look.outcome, watch.step.action) == ("worse", "roll_back")
    assert watch.step.reason.startswith("canary of 50 %: worse: errors: ")
    assert routes(world) == {"champion": "r1"}
    assert world.state.releases.get("r2").status == "rolled_back"
    stage = world.state.stages.of(name)[-1]
    assert (stage.outcome, world.state.stages.current(name)) == ("rolled_back", None)
    assert "canary" not in world.registry.aliases(name)
    rows = world.state.audit.of(f"{name}/{watch.cycle}")
    assert rows[-1].event.startswith("release.") or "rolled" in rows[-1].event
    assert "errors" in str(rows[-1].details)
    assert any("r2" in str(item) for item in waiting_cycles(world.state.cycles.of(name)))
    assert watch_release(platform, name) is None


def test_a_canary_as_good_as_the_champion_is_left_alone(world):
    """The same traffic without the errors; a day later it may go on."""
    land(world, share_of_errors=0.0)
    watch = watch_release(world.platform(), world.workload.id)
    assert (watch.step.action, watch.is_due) == ("go_on", False)
    assert routes(world) == {"champion": "r1", "canary": "r2"}
