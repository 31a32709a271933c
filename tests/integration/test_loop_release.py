"""The loop's release rules and client, on the gateway of a deployment without services."""

from datetime import timedelta

import pytest

from flywheel.deployment.gateway_program import gateway_in_thread
from flywheel.io.patience import Patience, poll
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.release.path import release_plan
from flywheel.release.registry import MlflowRegistry
from flywheel.simulation.traffic import generate
from flywheel.usecases.keys import create_key
from flywheel.usecases.landing import land
from flywheel.usecases.release_figures import stage_row
from flywheel.usecases.release_path import advance_workload, passed_stage, release_path
from flywheel.workload.files import load_workload
from loop.client import AskingClient
from loop.stage import SIZES, Window, write_workload
from tests.fakes.desk_world import DeskWorld
from tests.fakes.release_world import START


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Return the section `release` of the file that the loop writes."""
    folder = tmp_path_factory.mktemp("workloads")
    window = Window.before(START)
    file = write_workload(folder, "tiny", SIZES["tiny"], window, START)
    return load_workload(file).release


@pytest.fixture
def world(tmp_path, rules):
    """Return a deployment whose first candidate is approved."""
    registry = MlflowRegistry(
        f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}", tmp_path / "mlflow" / "artifacts"
    )
    made = DeskWorld(tmp_path, registry, release=rules.model_dump(mode="json"))
    yield made
    made.close()


def test_the_stages_take_a_minute(rules):
    """What they add to the loop: its release is the workload's first."""
    plan = release_plan(rules, first=True)
    assert [stage.kind for stage in plan] == ["shadow", "canary"]
    assert sum(stage.days for stage in plan) * 86_400 == pytest.approx(60)


def test_the_clients_traffic_takes_a_release_to_the_champions_place(world):
    """Shadow, canary, champion: no request fails, and what was answered has landed."""
    platform, workload = world.platform, world.world.workload
    cycle = world.world.approved("r1")
    world.world.promote(cycle)
    assert release_path(platform, workload.id).stages[-1].name == "shadow"
    key = create_key(platform, "loop", person="simulated:mara").key
    calls = generate(
        workload, start=START - timedelta(days=1), end=START, per_day=100, seed=7, drift=None
    )
    clock, began = world.world.clock, world.world.clock.now()
    with gateway_in_thread(platform) as url:
        client = AskingClient(url, key, workload.id, calls, pause_seconds=0.02)
        client.start()

        def is_champion():
            # A second for each answer, as the loop's client asks.
            clock.move_to(began + timedelta(seconds=len(client.replies)))
            land(platform)
            advance_workload(platform, workload.id)
            return client.answered("r1") > 0 or client.failures

        try:
            poll(is_champion, Patience(60), pause=0.1, check=lambda: _must_go_on(platform, cycle))
        finally:
            client.stop()
    assert client.failures == []
    assert client.champions == [BASE_RELEASE, "r1"]
    assert client.answered("r1", "canary") >= 5
    rows = [stage_row(story) for story in release_path(platform, workload.id).stages]
    assert [(row["stage"], row["outcome"]) for row in rows] == [
        ("shadow", "advanced"),
        ("canary 50%", "promoted"),
    ]
    assert "pairs" in passed_stage(platform, workload.id, "shadow")
    assert passed_stage(platform, workload.id, "canary")


def _must_go_on(platform, cycle):
    now = platform.state.cycles.get(cycle.ref)
    assert now.status != "rolled_back", now.status_reason
