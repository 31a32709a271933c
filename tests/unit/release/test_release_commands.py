"""The commands of a release, on a deployment of their own."""

from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from flywheel.cli import cycles, release, verify
from flywheel.errors import RefusedError
from tests.fakes.small_deployment import build_base
from tests.fakes.workload_file import put_workload


@pytest.fixture
def registry(mlflow_registry):
    """Return MLflow itself: the commands open it by its address."""
    return mlflow_registry


@pytest.fixture
def command(world, monkeypatch):
    """Return a function that runs a command on the world's folder."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.root))
    monkeypatch.setenv("FLYWHEEL_MLFLOW_URL", world.registry.place.uri)
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(world.root / "workloads"))

    def run(app: Typer, *words: str) -> Any:
        result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_approve_records_the_name_on_trust(world, command):
    """The command writes the approval that promotion looks for."""
    cycle = world.judged("r1")
    words = ("approve", world.workload.id, cycle.name, "--as", "bob", "--reason", "good figures")
    assert "bob approved r1" in command(release.app, *words).stdout
    given = world.state.approvals.granted(cycle.ref)
    assert (given.actor, given.channel, given.identity) == ("bob", "cli", "on_trust")


def test_approve_by_the_owner_is_refused(world, command):
    """The refusal is an error that the command line prints."""
    cycle = world.judged("r1")
    words = ("approve", world.workload.id, cycle.name, "--as", "ann", "--reason", "mine")
    with pytest.raises(RefusedError):
        command(release.app, *words)


def test_reject_closes_the_cycle(world, command):
    """A rejection needs nothing but a name and a reason."""
    cycle = world.judged("r1")
    words = ("reject", world.workload.id, cycle.name, "--as", "ann", "--reason", "too few labels")
    command(release.app, *words)
    assert world.state.cycles.get(cycle.ref).status == "rejected"


def test_gate_shows_table_and_picture(world, command):
    """The report can be read where the decision is made."""
    cycle = world.judged("r1")
    path = world.root / "gate.png"
    words = ("gate", world.workload.id, cycle.name, "--picture", str(path))
    shown = command(release.app, *words).stdout
    assert "non_inferiority" in shown
    assert path.read_bytes().startswith(b"\x89PNG")


def test_explain_tells_the_whole_story_in_order(world, command):
    """Opening, decision, attempt, gate, approval, promotion and rollback are all there."""
    from flywheel.release.rollback import rollback

    cycle = world.open_cycle()
    world.state.decisions.record(
        world.workload.id, opens=True, reason="asked", numbers={"psi": 0.31}, cycle=cycle.name
    )
    world.train(cycle, "r1")
    world.gate(cycle, "r1")
    world.approve(cycle)
    world.promote(cycle)
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    shown = command(cycles.app, "explain", world.workload.id, cycle.name).stdout
    marks = ("opened by system", "psi=0.31", "attempt 1 started", "gate.decided", "good figures")
    marks += ("promotion.done", "rollback.done by eve", "rows, unbroken")
    places = [shown.index(mark) for mark in marks]
    assert places == sorted(places)


def test_cycles_lists_status_version_and_champion(world, command):
    """The list says who answers now."""
    cycle = world.promoted("r1")
    shown = command(cycles.app, "cycles", world.workload.id).stdout
    assert cycle.name in shown
    assert "1.0.0" in shown
    assert "champion: r1" in shown


def test_cycles_and_explain_say_that_a_release_was_rolled_back(world, command):
    """What was champion is not said to be it any more, and who answers again is."""
    from flywheel.release.rollback import rollback

    first, second = world.promoted("r1"), world.promoted("r2")
    replaced = command(cycles.app, "cycles", world.workload.id).stdout
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    shown = command(cycles.app, "cycles", world.workload.id).stdout
    explained = command(cycles.app, "explain", world.workload.id, second.name).stdout

    assert "until r2 replaced it" in " ".join(replaced.split())
    line = next(line for line in shown.splitlines() if second.name in line)
    assert "rolled back" in line
    assert shown.count("is champion") == 1
    assert "is champion" in next(line for line in shown.splitlines() if first.name in line)
    last = explained.splitlines()[-2]
    assert last.startswith("now rolled back: r2")
    assert "by eve: bad" in last


def test_verify_finds_an_alias_that_somebody_moved(world, command):
    """What MLflow says is compared with the route table, and one command puts it back."""
    put_workload(world.root / "workloads", world.workload)
    world.base = build_base(world.root, world)
    world.promoted("r1")
    assert "as the route table says" in command(verify.app).stdout
    world.registry.set_alias(world.workload.id, "champion", None)
    found = command(verify.app)
    assert found.exit_code == 1
    assert "champion is None, not 1" in found.stdout
    assert "champion is version 1" in command(release.app, "aliases", world.workload.id).stdout
    assert command(verify.app).exit_code == 0
