"""Steps of a release that die, race or are taken back at the same moment: exactly one outcome."""

import threading
from collections.abc import Callable, Iterator

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import ConcurrencyError, FlywheelError, RefusedError
from flywheel.release.advance import ADVANCE_STEPS, advance_release
from flywheel.release.aliases import sync_aliases
from flywheel.release.look import Look
from flywheel.release.promotion import STAGING_STEPS
from flywheel.release.rollback import rollback
from flywheel.release.serving import unload_retired
from flywheel.state import State
from tests.fakes.release_checks import assert_aliases_follow, assert_audit_agrees
from tests.fakes.release_world import ReleaseWorld, make_workload

PATH = {"shadow": {"days": 1}, "canary": [{"share": 0.5, "days": 1}]}


class Killed(BaseException):
    """Ends a step as a signal would: nothing catches it."""


@pytest.fixture
def world(tmp_path, mlflow_registry) -> Iterator[ReleaseWorld]:
    """Return a workload with a champion r1, whose next release goes through two stages."""
    made = ReleaseWorld(tmp_path, mlflow_registry)
    made.promoted("r1")
    made.workload = make_workload(made.workload.id, release=PATH)
    yield made
    made.close()


def die_at(fatal: str) -> Callable[[str], None]:
    def die(step: str) -> None:
        if step == fatal:
            raise Killed

    return die


def place(world) -> str:
    """Return where r2 is by the route table, after holding every other record against it."""
    state, workload_id = world.state, world.workload.id
    rows = state.routes.of(workload_id)
    assert_audit_agrees(world)
    routed = {row.release: row.route for row in rows}
    statuses = {row.release: row.status for row in state.releases.of(workload_id)}
    assert {name: statuses[name] for name in routed} == routed
    assert set(routed) <= set(world.server.loaded) | {"base"}
    stage = state.stages.current(workload_id)
    assert (stage.kind if stage else None) in {routed.get("r2"), None}
    return routed.get("r2", statuses["r2"])


def reconcile(world) -> None:
    with world.state.leases.hold(f"champion:{world.workload.id}"):
        sync_aliases(world.state, world.registry, world.workload.id)
    unload_retired(world.state, world.server, world.workload.id)


@pytest.mark.parametrize("fatal", STAGING_STEPS)
def test_the_first_stage_begins_once_whenever_its_promotion_dies(world, fatal):
    """The repeat ends the same, registered once and audited once."""
    cycle = world.approved("r2")
    with pytest.raises(Killed):
        world.promote(cycle, on_step=die_at(fatal))
    assert place(world) == ("shadow" if fatal in {"staged", "aliased"} else "promoting")
    done = world.promote(cycle)
    assert (done.stage.number, place(world)) == (1, "shadow")
    assert_aliases_follow(world)
    assert len(world.state.stages.of(world.workload.id)) == 1


@pytest.mark.parametrize("fatal", ADVANCE_STEPS)
@pytest.mark.parametrize(("stage", "then"), [("shadow", "canary"), ("canary", "champion")])
def test_a_step_that_dies_anywhere_is_mended_by_the_next_look(world, fatal, stage, then):
    """Either it was done or it was not; the next look does what is left."""
    world.promote(world.approved("r2"))
    world.pass_days(1)
    if stage == "canary":
        world.advance()
        world.pass_days(1)
    with pytest.raises(Killed):
        world.advance(on_step=die_at(fatal))
    done = fatal in {"switched", "aliased"}
    assert place(world) == (then if done else stage)
    if not done:
        world.advance()
        assert place(world) == then
    reconcile(world)
    assert_aliases_follow(world)
    assert ("r1" in world.server.loaded) == (then == "canary")


@pytest.mark.parametrize("fatal", ["looked", "switched", "aliased"])
def test_a_guard_that_dies_anywhere_takes_the_release_back_once(world, fatal):
    """The champion answers throughout."""
    world.promote(world.approved("r2"))
    with pytest.raises(Killed):
        world.advance("worse", on_step=die_at(fatal))
    assert place(world) == ("shadow" if fatal == "looked" else "rolled_back")
    if fatal == "looked":
        world.advance("worse")
    assert place(world) == "rolled_back"
    reconcile(world)
    assert_aliases_follow(world)
    assert "r2" not in world.server.loaded


@pytest.mark.parametrize(
    ("store", "method"),
    [
        ("stages", "end"),
        ("stages", "begin"),
        ("routes", "set_stage"),
        ("releases", "change"),
        ("audit", "append"),
    ],
)
def test_a_step_killed_inside_its_transaction_is_taken_back_whole(world, store, method):
    """Death between two statements leaves the stage before."""
    world.promote(world.approved("r2"))
    world.pass_days(1)
    table, armed = getattr(world.state, store), []
    whole = getattr(table, method)

    def die(*arguments, **named):
        result = whole(*arguments, **named)
        if armed:
            raise Killed
        return result

    setattr(table, method, die)
    with pytest.raises(Killed):
        world.advance(on_step=lambda step: armed.extend([step] * (step == "smoke_tested")))
    setattr(table, method, whole)
    assert place(world) == "shadow"
    assert world.advance().action == "advance"
    assert place(world) == "canary"


@pytest.mark.parametrize(
    ("store", "method"),
    [("stages", "end"), ("routes", "clear_stages"), ("releases", "change"), ("audit", "append")],
)
def test_a_rollback_killed_inside_its_transaction_is_taken_back_whole(world, store, method):
    """The release stays in its stage, and the repeat withdraws it."""
    world.promote(world.approved("r2"))
    table = getattr(world.state, store)
    whole = getattr(table, method)

    def die(*arguments, **named):
        whole(*arguments, **named)
        raise Killed

    setattr(table, method, die)
    with pytest.raises(Killed):
        take_back(world)(world.state)
    setattr(table, method, whole)
    assert place(world) == "shadow"
    take_back(world)(world.state)
    assert place(world) == "rolled_back"
    assert_aliases_follow(world)


def at_once(world, *actions: Callable[[State], object]) -> list[object]:
    """Run actions at the same moment, each on a connection of its own; return what each gave."""
    barrier = threading.Barrier(len(actions))
    results: list[object] = [None] * len(actions)

    def run(index: int, action: Callable[[State], object]) -> None:
        clock = ManualClock(world.clock.now())
        state = State.open(world.url, clock, home=world.root)
        try:
            barrier.wait()
            results[index] = action(state)
        except FlywheelError as error:
            results[index] = error
        finally:
            state.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def advance(world, outcome: str = "go_on") -> Callable[[State], object]:
    stage = world.stage()
    return lambda state: advance_release(
        state,
        lambda: world.server,
        lambda: world.registry,
        stage,
        Look(outcome, "figures", 1_000),
        codec=lambda: world.codec,
    )


def take_back(world) -> Callable[[State], object]:
    return lambda state: rollback(
        state,
        world.server,
        world.registry,
        world.workload.id,
        actor="eve",
        reason="no",
        expected="r2",
    )


def test_two_that_advance_the_same_stage_move_it_once(world):
    """The other one is told so."""
    world.promote(world.approved("r2"))
    world.pass_days(1)
    results = at_once(world, *[advance(world)] * 3)
    assert place(world) == "canary"
    assert world.stage().number == 2
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(r, ConcurrencyError) for r in results if isinstance(r, Exception))
    assert_aliases_follow(world)


def test_two_promotions_begin_one_stage(world):
    """Whoever comes second finds it begun, or the lease held."""
    from flywheel.release.promotion import promote

    cycle = world.approved("r2")

    def begin(state: State) -> object:
        return promote(
            state, world.lake, world.server, world.registry, cycle.ref, codec=world.codec
        )

    results = at_once(world, begin, begin)
    assert place(world) == "shadow"
    assert len(world.state.stages.of(world.workload.id)) == 1
    for result in results:
        assert isinstance(result, ConcurrencyError) or result.stage.number == 1


@pytest.mark.parametrize("last", [False, True])
def test_a_rollback_that_races_a_step_leaves_one_outcome(world, last):
    """Taken back before or after the step, or refused because the lease was held; never half."""
    world.promote(world.approved("r2"))
    world.pass_days(1)
    if last:
        world.advance()
        world.pass_days(1)
    moved, taken = at_once(world, advance(world), take_back(world))
    where = place(world)
    if isinstance(taken, Exception):
        assert isinstance(taken, (ConcurrencyError, RefusedError))
        assert where == ("champion" if last else "canary")
    else:
        assert where == "rolled_back"
        assert world.state.routes.champion(world.workload.id) == "r1"
        assert isinstance(moved, Exception) or moved.action in {"advance", "promote"}
    reconcile(world)
    assert_aliases_follow(world)
