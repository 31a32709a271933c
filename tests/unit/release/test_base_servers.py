"""A workload moves to another base: both are asked in the gate, and either release can answer."""

from pathlib import Path

import pytest

from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import ConfigurationError, IntegrityError, NotFoundError, StorageError
from flywheel.release.base_servers import ServersByBase
from flywheel.release.rollback import rollback
from tests.fakes.model_server import FakeModelServer
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import LABELS, ReleaseWorld, right

OLD = BaseModel("old", Path("old"), "b" * 64)
NEW = BaseModel("new", Path("new"), "c" * 64, {name: f"<{name}>" for name in LABELS})


@pytest.fixture
def world(tmp_path):
    made = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path))
    yield made
    made.close()


class Recording(FakeModelServer):
    """Remember with which surfaces each release was asked."""

    surfaces: dict[str, dict[str, str]]

    def answer(self, release, codec, inputs, *, shots=()):
        """Answer as told."""
        self.surfaces = {**getattr(self, "surfaces", {}), release: dict(codec.surfaces)}
        return super().answer(release, codec, inputs, shots=shots)


def move(world):
    """Put the workload on the new base; the old one keeps its server."""
    old = world.server
    new = Recording({"base": lambda _: "dent"})
    world.server = ServersByBase(new, NEW, {OLD.digest: OLD}.__getitem__, lambda _: old)
    world.base = NEW
    return old, new


def test_the_gate_compares_a_champion_on_the_old_base_with_a_candidate_on_the_new_one(world):
    """Each is asked on its own base, in the writing of that base; promotion and roll-back follow."""
    world.server = Recording({"base": lambda _: "dent"})
    world.promoted("r1")
    old, new = move(world)
    cycle = world.open_cycle()
    world.train(cycle, "r2")
    new.replies["r2"] = right
    report = world.gate(cycle, "r2")

    assert (report.outcome, report.subject.champion) == ("pass", "r1")
    assert report.arm("golden", "champion").exact_match == 1.0
    assert "r1" in old.loaded
    assert set(new.loaded) == {"r2"}
    assert old.surfaces["r1"]["scratch"] == "scratch"
    assert new.surfaces["r2"]["scratch"] == "<scratch>"

    world.approve(cycle)
    assert world.promote(cycle).release == "r2"
    assert world.state.routes.champion(world.workload.id) == "r2"
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    assert world.state.routes.champion(world.workload.id) == "r1"
    assert "r1" in world.server.releases()


def test_a_release_of_another_base_is_unloaded_there(world):
    """What is retired leaves the server that had it."""
    world.promoted("r1")
    old, _ = move(world)
    adapter = Path(world.state.releases.get("r1").adapter)
    world.server.load("r1", adapter)
    assert world.server.releases() == ("base", "r1")
    world.server.unload("r1")
    assert "r1" not in old.loaded


def test_a_base_that_is_gone_is_named(world):
    """The release cannot be loaded, and says which base it needs."""

    def find(digest):
        raise NotFoundError(f"No base {digest[:4]}")

    world.promoted("r1")
    server = ServersByBase(world.server, NEW, find, lambda _: world.server)
    with pytest.raises(NotFoundError, match="bbbb"):
        server.load("r1", Path(world.state.releases.get("r1").adapter))


@pytest.mark.parametrize("error", [IntegrityError, ConfigurationError, StorageError])
def test_another_base_with_a_problem_hides_no_release(world, error):
    """Whether it cannot be looked up or its server refuses; its releases say why when asked."""
    world.promoted("r1")

    def fail(*_):
        raise error("damaged")

    def names(**changes):
        trained_on = (OLD.digest, "d" * 64)
        server = ServersByBase(
            **{
                "server": FakeModelServer({"base": str}),
                "base": NEW,
                "find": {OLD.digest: OLD, "d" * 64: OLD}.__getitem__,
                "open_server": lambda _: world.server,
                "trained_on": lambda: trained_on,
                **changes,
            }
        )
        return server.releases()

    refusing = FakeModelServer({"base": str})
    refusing.releases = fail
    assert names() == ("base", "r1")
    assert names(find_here=fail) == ("base",)
    assert names(open_server=fail) == ("base",)
    assert names(open_server=lambda _: refusing) == ("base",)
    assert names(find_here=lambda d: OLD if d == OLD.digest else fail()) == ("base", "r1")
    with pytest.raises(error):
        names(server=refusing)


def test_another_base_is_fetched_for_its_release_alone(world):
    """Naming what can answer does not fetch gigabytes."""
    world.promoted("r1")
    fetched = []

    def find(digest):
        fetched.append(digest)
        return OLD

    def find_here(_):
        raise NotFoundError("not on this machine")

    server = ServersByBase(
        FakeModelServer({"base": str}), NEW, find, lambda _: world.server, lambda: {OLD.digest},
        find_here,
    )  # fmt: skip
    assert server.releases() == ("base",)
    assert fetched == []
    server.load("r1", Path(world.state.releases.get("r1").adapter))
    assert fetched == [OLD.digest]
    assert server.releases() == ("base", "r1")
