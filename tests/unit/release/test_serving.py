"""What a model server has loaded follows the route table."""

import pytest

from flywheel.errors import UnavailableError
from flywheel.release.rollback import rollback
from flywheel.release.serving import load_routed, unload_retired


def test_replaced_release_is_unloaded_after_the_promotion(world):
    """The champion stays loaded, the one it replaced does not."""
    world.promoted("r1")
    world.promoted("r2")
    assert world.server.releases() == ("base", "r2")


def test_withdrawn_release_is_unloaded_after_the_rollback(world):
    """The older release is loaded again before the switch, the withdrawn one leaves after it."""
    world.promoted("r1")
    world.promoted("r2")
    rollback(
        world.state, world.server, world.registry, world.workload.id, actor="eve", reason="bad"
    )
    assert world.server.releases() == ("base", "r1")


def test_candidate_of_an_open_cycle_stays_loaded(world):
    """What waits for a decision is kept, and so is what belongs to somebody else."""
    world.promoted("r1")
    world.judged("r2")
    world.server.loaded["another.workload"] = world.root
    assert unload_retired(world.state, world.server, world.workload.id) == []
    assert world.server.releases() == ("base", "r1", "r2", "another.workload")


def test_rejected_candidate_is_unloaded(world):
    """A cycle that is over needs its candidate no more."""
    from flywheel.release.approval import reject

    cycle = world.judged("r1")
    reject(world.state, cycle.ref, actor="eve", reason="no")
    assert unload_retired(world.state, world.server, world.workload.id) == ["r1"]


def test_restarted_server_gets_what_the_routes_name(world):
    """A server that forgot everything is brought back, once."""
    world.promoted("r1")
    world.server.loaded.clear()
    assert load_routed(world.state, world.server, world.workload.id) == ["r1"]
    assert load_routed(world.state, world.server, world.workload.id) == []
    assert world.server.releases() == ("base", "r1")


def test_server_away_after_the_switch_does_not_fail_the_promotion(world):
    """The route has changed: what could not be unloaded goes at the next call."""
    world.promoted("r1")
    cycle = world.approved("r2")

    def away(release: str) -> None:
        raise UnavailableError("away")

    unload, world.server.unload = world.server.unload, away
    assert world.promote(cycle).release == "r2"
    world.server.unload = unload
    assert unload_retired(world.state, world.server, world.workload.id) == ["r1"]


def test_switch_that_fails_leaves_the_old_release_loaded(world):
    """Whoever answers is still there when a swap ends early."""
    world.promoted("r1")
    cycle = world.approved("r2")

    class Killed(BaseException):
        pass

    def die(step: str) -> None:
        if step == "smoke_tested":
            raise Killed

    with pytest.raises(Killed):
        world.promote(cycle, on_step=die)
    assert world.server.releases() == ("base", "r1", "r2")
    assert world.state.routes.champion(world.workload.id) == "r1"
