"""A promotion that dies at any step is mended by calling it again; nothing is ever half."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.release.promotion import PROMOTION_STEPS
from tests.fakes.release_world import ReleaseWorld


class Killed(BaseException):
    """Ends a promotion as a signal would: nothing catches it."""


@pytest.fixture
def world(tmp_path, mlflow_registry) -> Iterator[ReleaseWorld]:
    """Return a workload with an approved candidate on top of a champion."""
    made = ReleaseWorld(tmp_path, mlflow_registry)
    made.promoted("r1")
    yield made
    made.close()


def assert_whole(world, cycle) -> None:
    """Route, status, audit and model versions tell one story, whatever happened."""
    champion = world.state.routes.champion(world.workload.id)
    status = world.state.cycles.get(cycle.ref).status
    events = [row.event for row in world.state.audit.of(f"{world.workload.id}/{cycle.name}")]
    assert (champion, status) in {("r1", "approved"), ("r2", "promoted")}
    assert events.count("promotion.done") == (champion == "r2")
    champions = [
        r.release for r in world.state.releases.of(world.workload.id) if r.status == "champion"
    ]
    assert champions == [champion]
    world.state.audit.verify()


def assert_promoted_once(world, cycle) -> None:
    """The candidate is champion everywhere, registered once, audited once."""
    done = world.promote(cycle)
    assert_whole(world, cycle)
    versions = world.registry.client.search_model_versions(f"name='{world.workload.id}'")
    assert sorted(v.tags["flywheel.release"] for v in versions) == ["r1", "r2"]
    assert world.registry.aliases(world.workload.id)["champion"] == done.model_version
    release = world.state.releases.get("r2")
    assert (release.version, release.replaced) == ("1.0.1", "r1")
    assert set(release.steps) == {"registered", "smoke_tested", "switched", "aliased"}


@pytest.mark.parametrize("fatal", PROMOTION_STEPS)
def test_promotion_killed_after_a_step_is_reconciled(world, fatal):
    """Death after each step leaves a whole state, and the repeat ends the same."""
    cycle = world.approved("r2")

    def die(step: str) -> None:
        if step == fatal:
            raise Killed

    with pytest.raises(Killed):
        world.promote(cycle, on_step=die)
    assert_whole(world, cycle)
    assert_promoted_once(world, cycle)


@pytest.mark.parametrize(
    ("store", "method"),
    [
        ("releases", "mark_step"),
        ("releases", "change"),
        ("cycles", "set_status"),
        ("audit", "append"),
        ("routes", "champion"),
    ],
)
def test_promotion_killed_inside_the_switch_is_rolled_back(world, store, method):
    """Death between two statements of the switch takes all of them back."""
    cycle = world.approved("r2")
    table = getattr(world.state, store)
    whole = getattr(table, method)
    armed = []

    def die(*arguments, **named):
        result = whole(*arguments, **named)
        if armed:
            raise Killed
        return result

    setattr(table, method, die)
    with pytest.raises(Killed):
        world.promote(cycle, on_step=lambda step: armed.extend([step] * (step == "smoke_tested")))
    setattr(table, method, whole)
    assert world.state.routes.champion(world.workload.id) == "r1"
    assert_whole(world, cycle)
    assert_promoted_once(world, cycle)


@pytest.mark.parametrize("method", ["register", "set_alias"])
def test_promotion_killed_right_after_mlflow_heard_is_reconciled(world, method):
    """MLflow knows something that the state does not yet: the repeat finds it again."""
    cycle = world.approved("r2")
    whole = getattr(world.registry, method)

    def die(*arguments, **named):
        whole(*arguments, **named)
        raise Killed

    setattr(world.registry, method, die)
    with pytest.raises(Killed):
        world.promote(cycle)
    delattr(world.registry, method)
    assert_whole(world, cycle)
    assert_promoted_once(world, cycle)


def test_alias_lost_after_the_switch_is_synced_by_the_next_rollback(world):
    """A rollback sees the truth in SQL even where MLflow's alias was never moved."""
    from flywheel.release.rollback import rollback

    cycle = world.approved("r2")

    def die(step: str) -> None:
        if step == "switched":
            raise Killed

    with pytest.raises(Killed):
        world.promote(cycle, on_step=die)
    done = rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    assert (done.withdrawn, done.champion) == ("r2", "r1")
    champion = world.state.releases.get("r1").model_version
    assert world.registry.aliases(world.workload.id) == {"champion": champion}


_HOLD_AND_HANG = """
import sys, time
from flywheel.clock import SystemClock
from flywheel.state import State
state = State.open(sys.argv[1], SystemClock())
lease = state.leases.acquire(sys.argv[2], None, 3600)
with state.transaction():
    state.audit.append("half", "x", "killed", {})
    print("holding", flush=True)
    time.sleep(600)
"""


def test_sigkilled_holder_of_the_lease_blocks_nobody(world, repository):
    """A killed process leaves no half transaction, and its lease is taken over at once."""
    from flywheel.release.promotion import promotion_lease

    cycle = world.approved("r2")
    rows = world.state.audit.verify()
    command = [sys.executable, "-c", _HOLD_AND_HANG, world.url, promotion_lease(world.workload.id)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=repository, env=_environment(repository)
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "holding"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert world.state.audit.verify() == rows
    assert_promoted_once(world, cycle)


def _environment(repository: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(repository)}
