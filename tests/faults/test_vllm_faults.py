"""VLLM dies, or is given damaged files, while releases change and while they are measured.

An interrupted measurement is an error and never a score; who answers is what the route table says,
before and after.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.errors import FlywheelError, IntegrityError, TransientError, UnavailableError
from flywheel.release.promotion import PROMOTION_STEPS
from flywheel.release.registry import MlflowRegistry
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.usecases.answering import ChampionClient
from tests.fakes.micro_base import micro_base
from tests.fakes.release_world import ReleaseWorld

pytestmark = [pytest.mark.services, pytest.mark.timeout(600, func_only=True)]

# The adapters know nothing of this workload: what is tested is who answers, not how well.
_LENIENT = {
    "margin": 1.0,
    "holdout_margin": 1.0,
    "slice_floor": 1.0,
    "must_not_lose": 0.0,
    "minimum_accuracy": 0.0,
    "first_must_be_better": False,
    "latency_ratio": 1000.0,
}


# Between two questions of a client, so that it leaves the machine to those who change releases.
_PAUSE_SECONDS = 0.05


class Killed(BaseException):
    """Ends a promotion as a signal would: nothing catches it."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> MlflowRegistry:
    """Return a real registry on SQLite."""
    folder = tmp_path_factory.mktemp("mlflow")
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def world(vllm, registry, micro_adapters, tmp_path) -> Iterator[ReleaseWorld]:
    """Return a workload whose releases are real adapters on the session's vLLM."""
    made = ReleaseWorld(tmp_path, registry, gates=_LENIENT)
    made.server = VllmModelServer(vllm.base, vllm.url, vllm.token)
    made.base, made.adapter = micro_base(), micro_adapters["parts-0"]
    yield made
    _running(vllm)
    for release in made.server.releases()[1:]:
        made.server.unload(release)
    made.server.close()
    made.close()


@pytest.fixture
def client(world) -> Iterator["Asking"]:
    """Yield a client that asks the champion all the time."""
    asking = Asking(ChampionClient(world.state, world.server, world.codec, patience_seconds=300))
    asking.thread.start()
    yield asking
    asking.stop()


class Asking:
    """One client in a thread: who answered, and what failed."""

    def __init__(self, client: ChampionClient) -> None:
        self.releases: list[str] = []
        self.failed: list[str] = []
        self._client = client
        self._over = threading.Event()
        self._answered = threading.Condition()
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        """Stop after the answer under way."""
        self._over.set()
        self.thread.join()

    def wait_for(self, release: str) -> None:
        """Wait until a release answers."""
        with self._answered:
            assert self._answered.wait_for(
                lambda: self.releases[-1:] == [release] or bool(self.failed), timeout=300
            )
        assert self.failed == []

    def _run(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            try:
                served = self._client.ask(["a scratch"])
            except FlywheelError as error:
                told, failed = [], [str(error)]
            else:
                told, failed = [served.release], [a.error for a in served.answers if a.error]
            with self._answered:
                self.releases += told
                self.failed += failed
                self._answered.notify_all()


def _running(vllm) -> None:
    if vllm.services.states()["vllm"].pid is None:
        vllm.services.start("vllm")


def _order(releases: list[str]) -> list[str]:
    return [name for n, name in enumerate(releases) if releases[n - 1 : n] != [name]]


def test_vllm_killed_before_the_switch(world, client, vllm):
    """The promotion ends with an error, nobody was switched, clients wait, the repeat goes through."""
    world.promoted("r1")
    client.wait_for("r1")
    cycle = world.approved("r2")

    def kill(step: str) -> None:
        if step == "registered":
            vllm.services.kill("vllm")

    with pytest.raises(UnavailableError):
        world.promote(cycle, on_step=kill)
    assert world.state.routes.champion(world.workload.id) == "r1"
    assert world.state.cycles.get(cycle.ref).status == "approved"
    vllm.services.start("vllm")
    client.wait_for("r1")
    world.promote(cycle)
    client.wait_for("r2")
    client.stop()
    assert client.failed == []
    assert _order(client.releases) in (["base", "r1", "r2"], ["r1", "r2"])


def test_vllm_killed_at_the_switch(world, client, vllm):
    """The route has changed: clients wait for vLLM and get the new release, never the old one."""
    world.promoted("r1")
    client.wait_for("r1")
    cycle = world.approved("r2")

    def kill(step: str) -> None:
        if step == "smoke_tested":
            vllm.services.kill("vllm")

    assert world.promote(cycle, on_step=kill).release == "r2"
    vllm.services.start("vllm")
    client.wait_for("r2")
    client.stop()
    assert client.failed == []
    assert _order(client.releases)[-2:] == ["r1", "r2"]
    assert world.server.releases() == ("base", "r2")


def test_vllm_killed_during_an_evaluation(world, vllm):
    """An interrupted measurement is an error: no case is kept, no verdict given; a repeat judges."""
    cycle = world.open_cycle()
    world.train(cycle, "r1")

    def kill(what: str, done: int, of: int) -> None:
        if vllm.services.states()["vllm"].pid is not None:
            vllm.services.kill("vllm")

    before = world.state.cycles.get(cycle.ref).status
    with pytest.raises(TransientError):
        world.gate(cycle, "r1", on_progress=kill)
    assert world.state.cycles.get(cycle.ref).status == before
    assert not (world.root / "runs" / "r1" / "gate.json").exists()
    assert _cases(world) == 0
    vllm.services.start("vllm")
    assert world.gate(cycle, "r1").outcome == "pass"
    assert _cases(world) > 0


def _cases(world) -> int:
    return world.lake.rows(
        "select count(*) n from evaluations where workload_id = ?", [world.workload.id]
    )[0]["n"]


def test_damaged_adapter_is_not_promoted(world):
    """One flipped byte stops the promotion before vLLM hears of it; the champion goes on."""
    world.promoted("r1")
    cycle = world.approved("r2")
    world.server.unload("r2")
    weights = Path(world.state.releases.get("r2").adapter) / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="not the file"):
        world.promote(cycle)
    assert world.server.releases() == ("base", "r1")
    assert world.state.routes.champion(world.workload.id) == "r1"
    served = ChampionClient(world.state, world.server, world.codec).ask(["a dent"])
    assert served.release == "r1"


def test_promotion_crashed_at_each_step_is_reconciled(world):
    """Death after each step leaves one champion that answers; the repeat promotes and unloads."""
    world.promoted("r0")
    client = ChampionClient(world.state, world.server, world.codec, patience_seconds=0)
    for number, fatal in enumerate(PROMOTION_STEPS, start=1):
        cycle, name = world.approved(f"r{number}", golden=15), f"r{number}"

        def die(step: str, fatal: str = fatal) -> None:
            if step == fatal:
                raise Killed

        with pytest.raises(Killed):
            world.promote(cycle, on_step=die)
        champion = world.state.routes.champion(world.workload.id)
        assert champion in {f"r{number - 1}", name}
        assert client.ask(["a stain"]).release == champion
        assert world.promote(cycle).release == name
        assert client.ask(["a stain"]).release == name
        assert world.server.releases() == ("base", name)
        world.clock.move_to(world.clock.now().replace(minute=number))
