"""MLflow goes away, hangs or dies while a training is logged and while a release is promoted."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import UnavailableError
from flywheel.release import mlflow_calls
from flywheel.release.aliases import alias_differences, sync_aliases
from flywheel.release.promotion import PROMOTION_STEPS
from flywheel.release.registry import MlflowRegistry
from flywheel.release.rollback import rollback
from flywheel.services import Services
from tests.fakes.release_world import ReleaseWorld

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def services(module_services) -> Services:
    """Return an MLflow server of our own, with its PostgreSQL."""
    return module_services("mlflow")


@pytest.fixture
def registry(services, tmp_path, monkeypatch) -> MlflowRegistry:
    """Return a registry with little patience."""
    monkeypatch.setattr(mlflow_calls, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    return MlflowRegistry(services.connections.mlflow_url, tmp_path / "unused")


@pytest.fixture
def world(tmp_path, registry) -> Iterator[ReleaseWorld]:
    """Return a workload whose registry is the server."""
    made = ReleaseWorld(tmp_path, registry)
    yield made
    made.close()


def killed(services: Services) -> Callable[[], None]:
    services.kill("mlflow")
    return lambda: services.start("mlflow")


def frozen(services: Services) -> Callable[[], None]:
    services.signal("mlflow", signal.SIGSTOP)
    return lambda: services.signal("mlflow", signal.SIGCONT)


FAULTS = pytest.mark.parametrize("hurt", [killed, frozen])


def runs_of(world: ReleaseWorld) -> list:
    client = world.registry.client
    experiment = client.get_experiment_by_name(world.workload.id)
    return list(client.search_runs([experiment.experiment_id]))


def versions_of(world: ReleaseWorld) -> list[str]:
    found = world.registry.client.search_model_versions(f"name='{world.workload.id}'")
    return sorted(version.tags["flywheel.release"] for version in found)


def test_the_server_is_one_process_that_refuses_other_hosts(services):
    """Nothing waits beside it, and its protection against other pages' scripts is on."""
    process = psutil.Process(services.states()["mlflow"].pid)
    address = f"{services.connections.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"

    assert process.children() == []
    assert httpx.get(address).status_code == 200
    assert httpx.get(address, headers={"Host": "evil.example.org"}).status_code == 403


@FAULTS
def test_training_that_could_not_be_logged_is_logged_later(world, services, hurt):
    """The adapter stays, nothing is recorded half, and the repeat leaves one whole run."""
    world.registry.aliases("nobody")
    cycle = world.open_cycle()
    heal = hurt(services)
    try:
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            world.train(cycle, "r1")
        seconds = time.monotonic() - started
    finally:
        heal()
    assert seconds < 60  # with MLflow's own settings it would be many minutes
    assert "same command" in caught.value.next_step
    assert world.state.releases.of(world.workload.id) == []
    assert (world.root / "runs" / "r1" / "adapter" / "manifest.json").exists()
    release = world.train(cycle, "r1", again=True)
    assert [run.info.run_id for run in runs_of(world)] == [release.lineage.run_id]
    assert runs_of(world)[0].data.metrics["loss"] == 0.1
    events = [row.event for row in world.state.audit.of()]
    assert events == ["cycle.opened", "training.done"]


def assert_whole(world: ReleaseWorld, name: str, champion: str) -> None:
    """Route, status and audit tell one story."""
    cycle = world.state.cycles.get(CycleRef(world.workload.id, name))
    events = [row.event for row in world.state.audit.of(f"{world.workload.id}/{name}")]
    assert world.state.routes.champion(world.workload.id) == champion
    assert cycle.status == ("promoted" if champion == "r2" else "approved")
    assert events.count("promotion.done") == (champion == "r2")
    world.state.audit.verify()


@FAULTS
@pytest.mark.parametrize("step", ["verified", "switched"])
def test_promotion_without_the_server_stops_whole_and_goes_on(world, services, hurt, step):
    """Before the switch the old champion answers, after it the new one; the repeat ends it."""
    world.promoted("r1")
    cycle = world.approved("r2")
    heals: list[Callable[[], None]] = []

    def fail(done: str) -> None:
        if done == step:
            heals.append(hurt(services))

    try:
        with pytest.raises(UnavailableError, match="MLflow"):
            world.promote(cycle, on_step=fail)
        assert_whole(world, cycle.name, "r1" if step == "verified" else "r2")
    finally:
        heals[0]()
    steps: list[str] = []
    done = world.promote(cycle, on_step=steps.append)
    assert steps == list(PROMOTION_STEPS if step == "verified" else ["aliased"])
    assert_whole(world, cycle.name, "r2")
    assert versions_of(world) == ["r1", "r2"]
    assert world.registry.aliases(world.workload.id)["champion"] == done.model_version
    assert alias_differences(world.state, world.registry, world.workload.id) == {}


@pytest.mark.parametrize("call", ["log_text", "create_model_version"])
def test_server_killed_in_mid_upload_leaves_no_half_version(world, services, call):
    """There is no version before every file is there; the repeat sends them again."""
    cycle = world.approved("r1")
    client = world.registry.client
    whole = getattr(client, call)

    def die(*arguments, **named):
        services.kill("mlflow")
        return whole(*arguments, **named)

    setattr(client, call, die)
    try:
        with pytest.raises(UnavailableError):
            world.promote(cycle)
    finally:
        delattr(client, call)
        services.start("mlflow")
    assert world.state.routes.champion(world.workload.id) == "base"
    assert versions_of(world) == []
    world.promote(cycle)
    assert versions_of(world) == ["r1"]
    folder = client.download_artifacts(world.state.releases.get("r1").lineage.run_id, "adapter")
    assert (Path(folder) / "adapter_model.safetensors").read_bytes() == b"r1"


def test_short_absence_is_waited_for(world, services, monkeypatch):
    """A promotion that meets a restarting server goes on by itself."""
    monkeypatch.setattr(mlflow_calls, "_PATIENCE_SECONDS", 120.0)
    cycle = world.approved("r1")
    back = threading.Thread(target=services.start, args=["mlflow"])

    def restart(step: str) -> None:
        if step == "verified":
            services.kill("mlflow")
            back.start()

    done = world.promote(cycle, on_step=restart)
    back.join()
    assert world.state.routes.champion(world.workload.id) == done.release == "r1"
    assert versions_of(world) == ["r1"]


def test_rollback_without_the_server_switches_and_says_what_is_left(world, services):
    """Taking a bad release back does not wait for MLflow: its aliases follow later."""
    world.promoted("r1")
    world.promoted("r2")
    how = {"actor": "eve", "reason": "bad answers"}
    workload_id = world.workload.id
    services.stop("mlflow")
    try:
        done = rollback(world.state, world.server, world.registry, workload_id, **how)
        assert (done.champion, done.aliased) == ("r1", False)
        assert world.state.routes.champion(workload_id) == "r1"
    finally:
        services.start("mlflow")
    assert set(alias_differences(world.state, world.registry, workload_id)) == {
        "champion",
        "previous",
    }
    sync_aliases(world.state, world.registry, workload_id)
    assert alias_differences(world.state, world.registry, workload_id) == {}


def test_alias_that_a_person_moved_during_a_promotion_ends_right(world):
    """Somebody clicks in MLflow's page in between: the route table wins."""
    world.promoted("r1")
    cycle = world.approved("r2")

    def click(step: str) -> None:
        if step == "switched":
            client = world.registry.client
            first = world.registry.version_of(world.workload.id, "r1")
            client.set_registered_model_alias(world.workload.id, "champion", first)
            client.set_registered_model_alias(world.workload.id, "previous", first)

    done = world.promote(cycle, on_step=click)
    assert world.registry.aliases(world.workload.id)["champion"] == done.model_version
    assert alias_differences(world.state, world.registry, world.workload.id) == {}
