"""From the embedded MLflow to another one: the same runs, files, versions and aliases."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from flywheel.cli import registry as command
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.release.aliases import alias_differences
from flywheel.release.registry import MlflowRegistry
from flywheel.release.registry_copy import copy_registry
from flywheel.release.rollback import rollback
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.workload_file import put_workload


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> MlflowRegistry:
    """Return the embedded registry."""
    folder = tmp_path_factory.mktemp("old")
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("http", marks=pytest.mark.services("mlflow"))]
)
def new(request, tmp_path_factory) -> MlflowRegistry:
    """Return the registry to go to."""
    folder = tmp_path_factory.mktemp("new")
    if request.param == "http":
        return MlflowRegistry(request.getfixturevalue("mlflow_url"), folder)
    return MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def world(tmp_path, old) -> Iterator[ReleaseWorld]:
    """Return a workload with two champions behind each other and an approved candidate."""
    made = ReleaseWorld(tmp_path, old)
    made.promoted("r1")
    made.promoted("r2")
    made.cycle = made.approved("r3")
    yield made
    made.close()


def test_releases_go_on_in_the_new_place(world, old, new, tmp_path):
    """Runs, curves, files, tags and aliases are there; promotion and rollback go on."""
    workload_id = world.workload.id
    copied = copy_registry(world.state, old, new, workload_id)
    assert list(copied) == ["r1", "r2", "r3"]
    assert copied["r3"] is None
    assert alias_differences(world.state, new, workload_id) == {}
    for name in ("r1", "r2", "r3"):
        release = world.state.releases.get(name)
        before, after = old.runs_of(workload_id, name)[0], new.runs_of(workload_id, name)[0]
        assert after.info.run_id == release.lineage.run_id != before.info.run_id
        assert after.data.params == before.data.params
        assert after.data.metrics == before.data.metrics
        assert after.info.end_time == before.info.end_time
    release = world.state.releases.get("r2")
    target = tmp_path / "download"
    target.mkdir()
    new.client.download_artifacts(release.lineage.run_id, "", str(target))
    assert (target / "adapter" / "adapter_model.safetensors").read_bytes() == b"r2"
    assert (target / "model_card.md").exists()
    number = release.model_version
    assert number == copied["r2"]
    assert new.tags_of(workload_id, number)["flywheel.version"] == release.version

    world.registry = new
    done = world.promote(world.cycle)
    assert new.aliases(workload_id) == {"champion": done.model_version, "previous": copied["r2"]}
    rollback(world.state, world.server, new, workload_id, actor="eve", reason="a test")
    assert world.state.routes.champion(workload_id) == "r2"
    assert alias_differences(world.state, new, workload_id) == {}
    world.state.audit.verify()


def test_copy_that_was_cut_off_goes_on(world, old, new, monkeypatch):
    """Nothing is made twice, and the state is told only of what is whole."""
    whole = new.client.set_terminated
    calls = []

    def die(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments, **named)

    monkeypatch.setattr(new.client, "set_terminated", die)
    with pytest.raises(KeyboardInterrupt):
        copy_registry(world.state, old, new, world.workload.id)
    assert (
        world.state.releases.get("r2").lineage.run_id
        == old.runs_of(world.workload.id, "r2")[0].info.run_id
    )
    monkeypatch.undo()
    first = copy_registry(world.state, old, new, world.workload.id)
    rows = world.state.audit.verify()
    assert copy_registry(world.state, old, new, world.workload.id) == first
    assert world.state.audit.verify() == rows
    assert [len(new.runs_of(world.workload.id, name)) for name in first] == [1, 1, 1]
    assert len(new.client.search_model_versions(f"name='{world.workload.id}'")) == 2


def test_promotion_without_the_copy_says_what_to_do(world, new):
    """A state that came alone finds no versions in the new place."""
    world.registry = new
    with pytest.raises(NotFoundError) as caught:
        alias_differences(world.state, new, world.workload.id)
    assert "flywheel registry copy" in caught.value.next_step


def test_command_copies_every_workload(world, old, new, monkeypatch):
    """With the new address in the settings one command does it; a second one changes nothing."""
    file = put_workload(world.root / "workloads", world.workload)
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.root))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(file.parent))
    monkeypatch.setenv("FLYWHEEL_MLFLOW_URL", new.place.uri)
    words = ["copy", "--from", old.place.uri]
    done = CliRunner().invoke(command.app, words, env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    assert "r3: never registered" in done.output
    assert alias_differences(world.state, new, world.workload.id) == {}
    rows = world.state.audit.verify()
    assert CliRunner().invoke(command.app, words).exit_code == 0
    assert world.state.audit.verify() == rows


def test_same_place_is_refused(world, old):
    """A registry is not copied onto itself."""
    with pytest.raises(ConfigurationError, match="the same"):
        copy_registry(world.state, old, old, world.workload.id)
