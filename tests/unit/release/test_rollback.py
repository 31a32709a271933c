"""Rollback: one step back, recorded, and never twice by accident."""

from pathlib import Path

import pytest

from flywheel.errors import IntegrityError, RefusedError
from flywheel.release.rollback import rollback


def take_back(world, **how):
    return rollback(
        world.state,
        world.server,
        world.registry,
        world.workload.id,
        **{"actor": "eve", "reason": "complaints", **how},
    )


def test_rollback_restores_route_alias_and_status(world):
    """The release before answers again, and the ledger says who took it back and why."""
    world.promoted("r1")
    second = world.promoted("r2")
    world.server.unload("r1")
    done = take_back(world)
    first = world.state.releases.get("r1")
    assert (done.withdrawn, done.champion) == ("r2", "r1")
    assert world.state.routes.champion(world.workload.id) == "r1"
    assert world.registry.aliases(world.workload.id) == {"champion": first.model_version}
    assert (first.status, world.state.releases.get("r2").status) == ("champion", "rolled_back")
    assert "r1" in world.server.loaded
    row = world.state.audit.of(f"{world.workload.id}/{second.name}")[-1]
    assert (row.event, row.actor, row.details["reason"]) == ("rollback.done", "eve", "complaints")


def test_rollback_to_the_base_takes_the_alias_away(world):
    """Before the first promotion the base answers, and no model version is champion."""
    world.promoted("r1")
    assert take_back(world).champion == "base"
    assert world.registry.aliases(world.workload.id) == {}
    with pytest.raises(RefusedError, match="nothing to go back to"):
        take_back(world)


def test_repeated_rollback_with_the_expected_champion_is_refused(world):
    """A command given twice goes back once."""
    world.promoted("r1")
    world.promoted("r2")
    take_back(world, expected="r2")
    with pytest.raises(RefusedError, match="not r2"):
        take_back(world, expected="r2")


def test_rolled_back_release_is_not_promoted_again(world):
    """A withdrawn release stays withdrawn."""
    cycle = world.promoted("r1")
    take_back(world)
    with pytest.raises(RefusedError, match="rolled back"):
        world.promote(cycle)


def test_version_goes_on_after_a_rollback(world):
    """A version is never given twice."""
    world.promoted("r1")
    world.promoted("r2")
    take_back(world)
    world.promoted("r3")
    release = world.state.releases.get("r3")
    assert (release.version, release.replaced) == ("1.0.2", "r1")


def test_damaged_older_release_is_not_brought_back(world):
    """A rollback to changed files is refused, and the champion stays."""
    world.promoted("r1")
    world.promoted("r2")
    (Path(world.state.releases.get("r1").adapter) / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(IntegrityError):
        take_back(world)
    assert world.state.routes.champion(world.workload.id) == "r2"


def test_rollback_needs_a_reason(world):
    """Nobody takes a champion back without saying why."""
    world.promoted("r1")
    with pytest.raises(RefusedError, match="reason"):
        take_back(world, reason="")
