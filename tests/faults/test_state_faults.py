"""PostgreSQL is restarted or killed under writers, in a promotion and in the middle of a cycle."""

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.clock import SystemClock
from flywheel.errors import UnavailableError
from flywheel.io.patience import Patience
from flywheel.release.approval import approve
from flywheel.release.promotion import PROMOTION_STEPS
from flywheel.release.registry import MlflowRegistry
from flywheel.services import Services
from flywheel.settings import Settings, load_settings
from flywheel.state import State, database
from flywheel.usecases.ledger import prove_ledger
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.turn_world import TurnWorld

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def services(module_services) -> Services:
    """Return a PostgreSQL of our own."""
    return module_services("postgres")


@pytest.fixture
def url(services) -> Iterator[str]:
    """Return an empty database on it."""
    name = f"fault_{uuid.uuid4().hex[:12]}"
    yield services.create_database(name)
    services.drop_database(name)


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> MlflowRegistry:
    """Return a registry that stays up."""
    folder = tmp_path_factory.mktemp("mlflow")
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def world(tmp_path, registry, url) -> Iterator[ReleaseWorld]:
    """Return a workload with an approved candidate on top of a champion."""
    made = ReleaseWorld(tmp_path, registry, url)
    made.promoted("r1")
    yield made
    made.close()


def assert_whole(world: ReleaseWorld, name: str) -> str:
    """Route, status and audit tell one story; return the champion."""
    champion = world.state.routes.champion(world.workload.id)
    status = world.state.cycles.get(CycleRef(world.workload.id, name)).status
    events = [row.event for row in world.state.audit.of(f"{world.workload.id}/{name}")]
    assert (champion, status) in {("r1", "approved"), ("r2", "promoted")}
    assert events.count("promotion.done") == (champion == "r2")
    world.state.audit.verify()
    return champion


@pytest.mark.parametrize("step", PROMOTION_STEPS)
def test_promotion_without_the_database_stops_whole_and_goes_on(world, services, monkeypatch, step):
    """Killed after any step, the server finds the state whole, and the repeat ends it."""
    monkeypatch.setattr(database, "_AWAY_SECONDS", 0.5)
    cycle = world.approved("r2")

    def kill(done: str) -> None:
        if done == step:
            services.kill("postgres")

    try:
        if step == PROMOTION_STEPS[-1]:
            # All is done but giving back the lease, which this process takes again later.
            assert world.promote(cycle, on_step=kill).release == "r2"
        else:
            with pytest.raises(UnavailableError, match="PostgreSQL database"):
                world.promote(cycle, on_step=kill)
    finally:
        services.start("postgres")
    assert assert_whole(world, cycle.name) == ("r2" if step in {"switched", "aliased"} else "r1")
    done = world.promote(cycle)
    assert assert_whole(world, cycle.name) == done.release == "r2"
    assert world.registry.aliases(world.workload.id)["champion"] == done.model_version


def test_restart_between_two_steps_is_not_even_noticed(world, services):
    """Dropped connections are replaced, as long as nothing is half."""
    cycle = world.approved("r2")
    done = world.promote(cycle, on_step=lambda _: services.restart("postgres"))
    assert assert_whole(world, cycle.name) == done.release


_WRITER = """
import itertools, pathlib, sys
from flywheel.clock import SystemClock
from flywheel.errors import TransientError
from flywheel.state import State, database
database._AWAY_SECONDS = 60.0
name, state, enough = sys.argv[2], State.open(sys.argv[1], SystemClock()), pathlib.Path(sys.argv[3])
for number in itertools.count():
    unsure = False
    while True:
        try:
            known = {decision.reason for decision in state.decisions.of(name)} if unsure else ()
            if str(number) not in known:
                with state.transaction():
                    state.audit.append("write", name, name, {"number": number})
                    state.decisions.record(name, opens=False, reason=str(number), numbers={})
            break
        except TransientError:
            unsure = True
    print(number, flush=True)
    if enough.exists():
        break
"""


def test_what_was_acknowledged_is_there_once(services, url, repository, tmp_path):
    """Two writers go through kills and a restart: nothing lost, nothing twice, one chain."""
    state = State.open(url, SystemClock())
    told = {name: tmp_path / name for name in ("one", "two")}
    enough = tmp_path / "enough"
    writers = []
    for name, path in told.items():
        command = [sys.executable, "-c", _WRITER, url, name, str(enough)]
        with path.open("w") as output:
            writers.append(subprocess.Popen(command, cwd=repository, stdout=output))
    try:
        for hurt in (services.kill, services.stop, services.kill):
            _await_more_lines(told.values(), writers)
            hurt("postgres")
            services.start("postgres")
        _await_more_lines(told.values(), writers)
        enough.touch()
        assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    total = 0
    for name, path in told.items():
        wanted = Counter(path.read_text().split())
        assert Counter(decision.reason for decision in state.decisions.of(name)) == wanted
        rows = state.audit.of(name)
        assert Counter(str(row.details["number"]) for row in rows) == wanted
        assert set(wanted.values()) == {1}
        total += len(wanted)
    assert state.audit.verify()[0] == total
    state.close()


def _await_more_lines(paths: Iterable[Path], writers: list[subprocess.Popen[bytes]]) -> None:
    """Wait until each writer has told of ten more writes."""
    wanted = {path: path.read_text().count("\n") + 10 for path in paths}
    patience = Patience(120)
    while any(path.read_text().count("\n") < number for path, number in wanted.items()):
        assert [writer.poll() for writer in writers] == [None] * len(writers)
        assert not patience.is_over
        time.sleep(0.05)


class _Hurting:
    """A launcher after whose trainings ``hurt`` happens to the services."""

    def __init__(self) -> None:
        self._launcher = InProcessTrainer()
        self.hurt: Callable[[], None] = lambda: None
        self.trainings = 0

    def run(self, spec, out, *, on_progress, on_notice):
        done = (out / "result.json").exists()
        result = self._launcher.run(spec, out, on_progress=on_progress, on_notice=on_notice)
        if not done:
            self.trainings += 1
            self.hurt()
        return result


@pytest.fixture
def turn(services, url, tmp_path) -> Iterator[TurnWorld]:
    """Return a deployment on PostgreSQL and an MLflow server, up to the open trigger."""
    services.add(["mlflow"], load_settings(profile="embedded"))
    with instance_like_ours() as instance:
        address = services.connections.mlflow_url
        home = tmp_path / "home"
        settings = Settings(
            home=home, workloads=home / "workloads", cache=home, state_url=url, mlflow_url=address
        )
        world = TurnWorld(home, instance, settings=settings, launcher=_Hurting())
        world.import_seed()
        world.send(120)
        world.move(days=100)
        world.dagster.tick("new_events_sensor")
        assert world.dagster.run("parts_sample_job").success
        world.annotate()
        world.dagster.tick("finished_reviews_sensor")
        assert world.dagster.run("parts_observe_job").success
        yield world
        world.close()


@pytest.mark.slow
def test_cycle_goes_on_when_postgresql_and_mlflow_go_away(turn, services):
    """The database is killed and the registry hangs after the training: one cycle, one of each."""
    back: list[threading.Timer] = []

    def hurt() -> None:
        services.signal("mlflow", signal.SIGSTOP)
        services.kill("postgres")
        services.start("postgres")
        # Longer than the registry waits: the asset is tried again, and finds the training done.
        back.append(threading.Timer(25, services.signal, ["mlflow", signal.SIGCONT]))
        back[0].start()

    launcher = turn.platform.launcher
    launcher.hurt = hurt
    runs = turn.dagster.tick("trigger_sensor")
    back[0].join()
    state = turn.platform.state
    (cycle,) = state.cycles.of("parts")
    assert [run.success for run in runs] == [True]
    assert "STEP_UP_FOR_RETRY" in {event.event_type_value for event in runs[0].all_events}
    assert (launcher.trainings, cycle.attempt, cycle.status) == (1, 1, "awaiting_approval")
    assert [decision.opens for decision in state.decisions.of("parts")] == [True]
    (release,) = state.releases.of("parts")
    client = turn.platform.registry.client
    experiment = client.get_experiment_by_name("parts")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == release.lineage.run_id
    assert client.get_metric_history(run.info.run_id, "loss")

    approve(state, cycle.ref, actor="mara", reason="better on every label")
    services.restart("postgres")
    assert [done.success for done in turn.dagster.tick("granted_approvals_sensor")] == [True]
    assert state.routes.champion("parts") == release.release
    versions = client.search_model_versions("name='parts'")
    assert [version.tags["flywheel.release"] for version in versions] == [release.release]
    events = Counter(row.event for row in state.audit.of(f"parts/{cycle.name}"))
    once = ("cycle.opened", "training.done", "gate.decided", "approval.approved", "promotion.done")
    assert [events[event] for event in once] == [1] * len(once)
    assert state.audit.verify()[0] == events.total()
    assert prove_ledger(turn.platform).balances
