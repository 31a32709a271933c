"""`flywheel release show | advance | retry | reconcile`, status, doctor and the lists of a deployment."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from flywheel.cli import cycles, release, release_path, status
from flywheel.errors import RefusedError, UnavailableError
from flywheel.release.look import Look
from flywheel.usecases.reconcile import reconcile_release, release_differences
from flywheel.usecases.release_path import advance_workload, promote_or_advance, watch_release
from flywheel.usecases.waiting import waiting_cycles
from flywheel.wiring import Platform
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld, make_workload
from tests.fakes.small_deployment import build_base
from tests.fakes.workload_file import put_workload

PATH = {"shadow": {"days": 1}, "canary": [{"share": 0.1, "days": 1}]}


# What a test does in MLflow itself, behind our back, needs MLflow.
in_mlflow = pytest.mark.usefixtures("mlflow_registry")


@pytest.fixture
def registry(request, tmp_path):
    """Return a registry in memory, or MLflow itself for a test that is marked so."""
    if "mlflow_registry" in request.fixturenames:
        return request.getfixturevalue("mlflow_registry")
    return MemoryRegistry(tmp_path)


@pytest.fixture
def world(tmp_path, registry) -> Iterator[ReleaseWorld]:
    """Return a deployment with the champion r1, whose next release goes through two stages."""
    made = ReleaseWorld(tmp_path, registry)
    made.base = build_base(tmp_path, made)
    made.promoted("r1")
    made.workload = make_workload(made.workload.id, release=PATH)
    put_workload(tmp_path / "workloads", made.workload)
    yield made
    made.close()


@pytest.fixture
def platform(world) -> Platform:
    """Return the world as the use cases see it."""
    return world.platform()


@pytest.fixture
def command(platform, monkeypatch):
    """Return a function that runs a command on the world and returns its result."""
    for module in (release, release_path, cycles, status):
        monkeypatch.setattr(module, "open_platform", lambda **_: platform)

    def run(app: Any, *words: str) -> Any:
        result = CliRunner().invoke(app, list(words), env={"COLUMNS": "250"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def says(outcome: str, answers: int = 1_000):
    return lambda *_: Look(outcome, f"{outcome} by the figures", answers, {"answers": answers})


def test_show_tells_stages_and_verdicts(world, command, platform):
    """Over time, what comes next, and as JSON."""
    name = world.workload.id
    assert "No release of" in command(release_path.app, "show", name).stdout
    cycle = world.approved("r2")
    shown = command(release.app, "promote", name, cycle.name).stdout
    assert "r2, version 1.0.1, is in shadow" in shown
    assert f"flywheel release show {name}" in shown
    advance_workload(platform, name, judge=says("go_on", 7))
    world.pass_days(1)
    advance_workload(platform, name, judge=says("equivalent"))
    shown = command(release_path.app, "show", name).stdout
    assert "canary of 10 %" in shown
    assert "advanced" in shown
    assert "next after 1 days and 200 answers: champion" in shown
    facts = json.loads(command(release_path.app, "show", name, "--json").stdout)
    first = facts["stages"][0]
    assert (first["stage"]["kind"], first["planned"]["minimum"]) == ("shadow", 200)
    assert [look["outcome"] for look in first["looks"]] == ["go_on", "equivalent"]
    listed = command(cycles.app, "cycles", name).stdout
    assert "in canary" in listed
    explained = command(cycles.app, "explain", name, cycle.name).stdout
    assert "release.stage_began by system" in explained
    assert "now in canary: r2, version 1.0.1, is in canary of 10 %" in explained


def test_advance_does_what_the_sensor_does(world, command, platform, monkeypatch):
    """And says what it did and why."""
    name = world.workload.id
    assert "No release of" in command(release_path.app, "advance", name).stdout
    world.promote(world.approved("r2"))
    monkeypatch.setattr("flywheel.usecases.release_path._look", lambda *_: says("worse")())
    shown = command(release_path.app, "advance", name).stdout
    assert "r2 was rolled back: shadow: worse: worse by the figures" in shown
    assert "champion: r1" in shown


def test_a_watch_rolls_back_and_leaves_the_way_forward_to_a_run(world, platform):
    """What loads a model is not done by a look."""
    name, cycle = world.workload.id, world.approved("r2")
    assert watch_release(platform, name) is None
    promote_or_advance(platform, cycle.ref)
    watch = watch_release(platform, name, judge=says("go_on", 3))
    assert (watch.step.action, watch.is_due) == ("go_on", False)
    world.pass_days(1)
    watch = watch_release(platform, name, judge=says("better"))
    assert (watch.step.action, watch.is_due) == ("advance", True)
    assert world.stage().kind == "shadow"
    watch = watch_release(platform, name, judge=says("silent"))
    assert (watch.step.action, watch.is_due) == ("roll_back", False)
    assert world.state.stages.current(name) is None


def test_a_release_that_a_guard_took_back_waits_for_a_person(world, platform):
    """The alerts are sent of that list, once each."""
    cycle = world.approved("r2")
    world.promote(cycle)
    assert waiting_cycles(world.state.cycles.of(world.workload.id)) == []
    world.advance("worse")
    (item,) = waiting_cycles(world.state.cycles.of(world.workload.id))
    assert item.kind == "rolled back"
    assert "worse by the figures" in item.text
    assert "flywheel release show" in item.command


def test_rollback_withdraws_what_is_in_a_stage(world, command):
    """The champion answers on."""
    world.promote(world.approved("r2"))
    words = ("rollback", world.workload.id, "--as", "eve", "--reason", "no")
    assert "r2 is withdrawn from the shadow; r1 answers on" in command(release.app, *words).stdout


def differ(world) -> None:
    """Move, lose and forget what follows the route table."""
    client, name = world.registry.client, world.workload.id
    client.delete_registered_model_alias(name, "shadow")
    client.set_registered_model_alias(name, "champion", world.registry.version_of(name, "r2"))
    world.server.unload("r1")
    world.state.releases.change("r1", status="retired")


@in_mlflow
def test_differences_are_named_and_repaired(world, platform, command):
    """By status and doctor, and by one command, after which nothing differs."""
    name = world.workload.id
    world.promote(world.approved("r2"))
    assert release_differences(platform, name) == []
    assert "Everything is as" in command(release_path.app, "reconcile", name).stdout
    differ(world)
    sentences = release_differences(platform, name)
    assert sentences == [
        "r1 has the status retired, by the route table it is champion",
        "MLflow's alias champion is version 2, by the route table version 1",
        "MLflow's alias shadow is not set, by the route table version 2",
        "the model server has not loaded r1",
    ]
    shown = command(status.app).stdout
    assert all(sentence in shown for sentence in sentences)
    assert f"next: flywheel release reconcile {name}" in shown
    assert "r2 in shadow since" in shown
    routes = world.state.routes.of(name)
    done = reconcile_release(platform, name)
    assert (len(done.repaired), done.not_repaired) == (4, ())
    assert world.state.routes.of(name) == routes
    assert release_differences(platform, name) == []
    world.state.audit.verify()


@in_mlflow
def test_what_cannot_be_repaired_is_said_and_stops_nothing(world, platform, command):
    """A deleted version: the other aliases are set, and the command ends with an error."""
    name = world.workload.id
    world.promote(world.approved("r2"))
    world.registry.client.delete_model_version(name, world.registry.version_of(name, "r1"))
    world.registry.client.delete_registered_model_alias(name, "shadow")
    result = command(release_path.app, "reconcile", name)
    assert result.exit_code == 1
    assert "MLflow has no model version of r1" in result.stdout
    assert "flywheel registry copy" in result.stdout
    assert set(world.registry.aliases(name)) == {"shadow"}


@in_mlflow
def test_a_deleted_model_is_named(world, platform):
    """Routing goes on from the table."""
    name = world.workload.id
    world.registry.client.delete_registered_model(name)
    assert release_differences(platform, name) == ["MLflow has no model version of r1."]
    assert "MLflow has no model version of r1" in reconcile_release(platform, name).not_repaired[0]
    assert world.state.routes.champion(name) == "r1"


def test_a_registry_that_is_away_is_named_too(world, platform, monkeypatch):
    """The rest is repaired."""

    def away(*_: Any) -> dict[str, str]:
        raise UnavailableError("MLflow does not answer.", next_step="start it")

    world.server.unload("r1")
    monkeypatch.setattr(world.registry, "aliases", away)
    monkeypatch.setattr(world.registry, "set_alias", away)
    done = reconcile_release(platform, world.workload.id)
    assert done.not_repaired == ("MLflow does not answer. Next: start it",)
    assert done.repaired == ("r1 is loaded into the model server",)


def test_a_route_that_was_written_from_outside_is_named(world, platform):
    """It is the truth all the same: nobody takes it away."""
    name = world.workload.id
    with world.state.leases.hold("x") as lease:
        world.state.routes.set_stage(
            name, "canary", release="r1", weight=0.3, reason="", lease=lease
        )
    sentence, *_ = release_differences(platform, name)
    assert "canary of the route table, r1 with 0.3, is not the stage" in sentence
    done = reconcile_release(platform, name)
    assert any("the canary is r1, the audit says nobody" in one for one in done.not_repaired)
    assert "canary" in {route.route for route in world.state.routes.of(name)}


def test_retry_lets_a_release_be_reviewed_again(world, command):
    """It says what comes next, and gives the cycle as JSON."""
    cycle, name = world.approved("r2"), world.workload.id
    world.promote(cycle)
    world.advance("silent")
    words = ("retry", name, cycle.name, "--as", "jon", "--reason", "the replica was mended")
    shown = command(release_path.app, *words).output
    assert f"next, as somebody else: flywheel approve {name} {cycle.name}" in " ".join(
        shown.split()
    )
    with pytest.raises(RefusedError, match="is awaiting_approval"):
        command(release_path.app, *words)
    world.approve(cycle)
    world.promote(cycle)
    world.advance("silent")
    facts = json.loads(command(release_path.app, *words, "--json").output)
    assert facts["status"] == "awaiting_approval"
