"""A release that a stage took back, and that was not to blame: reviewed and tried again."""

import threading

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import ConcurrencyError, FlywheelError, RefusedError
from flywheel.release.approval import approve
from flywheel.release.four_eyes import requesters
from flywheel.release.promotion import STAGING_STEPS, promotion_lease
from flywheel.release.retry import retry_release
from flywheel.release.rollback import rollback
from flywheel.state import State
from flywheel.usecases.release_path import release_path
from tests.fakes.release_checks import assert_aliases_follow, assert_audit_agrees
from tests.fakes.release_world import ReleaseWorld, make_workload

PATH = {"shadow": {"days": 1}, "canary": [{"share": 0.1, "days": 1}, {"share": 0.5, "days": 1}]}
WHY = "the replica was mended"


class Killed(BaseException):
    """Ends a step as a signal would: nothing catches it."""


@pytest.fixture
def begun(request, resumed):
    """Return the world of a test, and the cycle of r2 where it was taken back."""
    is_taken_back = "taken_back" in request.fixturenames
    return resumed(is_taken_back, _take_back if is_taken_back else _promote_first)


@pytest.fixture
def world(begun) -> ReleaseWorld:
    """Return a workload with a champion r1, whose next release goes through two stages."""
    return begun[0]


@pytest.fixture
def taken_back(begun):
    """Return the cycle of r2, which the guards of the second canary took back."""
    return begun[1]


def _promote_first(world) -> None:
    world.promoted("r1")
    world.workload = make_workload(world.workload.id, release=PATH)


def _take_back(world):
    _promote_first(world)
    cycle = world.approved("r2")
    world.promote(cycle)
    for _ in range(2):
        world.pass_days(1)
        world.advance()
    world.advance("worse")
    return cycle


def retry(world, cycle, **how):
    return retry_release(world.state, cycle.ref, **{"actor": "jon", "reason": WHY, **how})


def status(world, cycle) -> tuple[str, str]:
    return world.state.cycles.get(cycle.ref).status, world.state.releases.get("r2").status


def test_it_goes_its_way_again_without_another_training(world, taken_back):
    """From the first canary, under its name, version and number in MLflow, the stages numbered on."""
    before = world.state.releases.get("r2")
    retry(world, taken_back)
    assert status(world, taken_back) == ("awaiting_approval", "candidate")
    assert_audit_agrees(world)
    world.approve(taken_back)
    done = world.promote(taken_back)
    assert (done.stage.number, done.stage.kind, done.version) == (4, "canary", before.version)
    for number, share in ((4, 0.1), (5, 0.5)):
        assert (world.stage().number, world.stage().share) == (number, share)
        assert_audit_agrees(world)
        world.pass_days(1)
        world.advance()
    after = world.state.releases.get("r2")
    assert (after.status, after.model_version) == ("champion", before.model_version)
    assert status(world, taken_back) == ("promoted", "champion")
    stages = world.state.stages.of(world.workload.id)
    assert [(one.number, one.outcome) for one in stages] == [
        (1, "advanced"),
        (2, "advanced"),
        (3, "rolled_back"),
        (4, "advanced"),
        (5, "promoted"),
    ]
    assert_audit_agrees(world)
    assert_aliases_follow(world)


def test_what_is_shown_of_both_tries(world, taken_back):
    """Each stage with its plan, and what comes next in the present try."""
    retry(world, taken_back)
    world.approve(taken_back)
    world.promote(taken_back)
    path = release_path(world.platform(), world.workload.id)
    assert [story.planned.name for story in path.stages] == [
        "shadow",
        "canary of 10 %",
        "canary of 50 %",
        "canary of 10 %",
    ]
    assert path.coming == ("canary of 50 %", "champion")
    assert path.stages[-1].stage.reason.endswith("after the shadow that it has passed")


def test_a_shadow_that_took_it_back_is_repeated(world):
    """Nothing was passed yet."""
    cycle = world.approved("r2")
    world.promote(cycle)
    world.advance("silent")
    retry(world, cycle)
    world.approve(cycle)
    assert world.promote(cycle).stage.kind == "shadow"
    assert world.stage().number == 2


def test_who_asks_cannot_approve(world, taken_back):
    """Nor can who asked for the cycle; each is named once."""
    retry(world, taken_back)
    with pytest.raises(RefusedError, match="asked for cycle"):
        approve(world.state, taken_back.ref, actor="Jon", reason="mine")
    with pytest.raises(RefusedError, match="asked for cycle"):
        approve(world.state, taken_back.ref, actor="ann", reason="mine")
    attempt = world.state.cycles.attempt(taken_back.ref)
    assert requesters(world.state.cycles.get(taken_back.ref), attempt) == ("ann", "jon")
    world.approve(taken_back)
    world.promote(taken_back)
    world.advance("silent")
    retry(world, taken_back, actor="JON")
    attempt = world.state.cycles.attempt(taken_back.ref)
    assert attempt.further_tries.requested_by == ("jon", "JON")
    assert requesters(world.state.cycles.get(taken_back.ref), attempt) == ("ann", "jon")


def test_the_former_approval_is_void(world, taken_back):
    """Nothing is promoted without a new one."""
    retry(world, taken_back)
    (former,) = world.state.approvals.of_cycle(taken_back.ref)
    assert former.void_reason == f"jon asked for another try of the release: {WHY}"
    with pytest.raises(RefusedError, match="no approval that counts"):
        world.promote(taken_back)


def test_only_what_a_stage_took_back_is_tried_again(world):
    """Not what is in a stage, not a champion, and not one that was rolled back."""
    cycle = world.approved("r2")
    with pytest.raises(RefusedError, match="no release of it was taken back"):
        retry(world, cycle)
    world.promote(cycle)
    for _ in range(3):
        with pytest.raises(RefusedError, match="no release of it was taken back"):
            retry(world, cycle)
        world.pass_days(1)
        world.advance()
    assert world.state.routes.champion(world.workload.id) == "r2"
    rollback(world.state, world.server, world.registry, world.workload.id, actor="eve", reason="no")
    with pytest.raises(RefusedError, match="no release of it was taken back"):
        retry(world, cycle)


def test_another_champion_or_cycle_comes_first(world, taken_back):
    """The figures of the gate are about the champion of then, and one cycle is open at a time."""
    other = world.open_cycle("volume")
    with pytest.raises(RefusedError, match="was opened since"):
        retry(world, taken_back)
    world.state.cycles.set_status(other.ref, "stopped", "a test")
    rollback(world.state, world.server, world.registry, world.workload.id, actor="eve", reason="no")
    with pytest.raises(RefusedError, match="was compared with r1, and base answers now"):
        retry(world, taken_back)
    assert status(world, taken_back) == ("rolled_back", "rolled_back")
    assert_audit_agrees(world)


def test_name_and_reason_are_needed(world, taken_back):
    """As for every decision of a person."""
    for missing in ({"actor": " "}, {"reason": ""}):
        with pytest.raises(RefusedError, match="needs a name and a reason"):
            retry(world, taken_back, **missing)


def test_a_move_under_way_comes_first(world, taken_back):
    """The lease is that of promotion and rollback."""
    with (
        world.state.leases.hold(promotion_lease(world.workload.id), "other"),
        pytest.raises(ConcurrencyError),
    ):
        retry(world, taken_back)
    assert status(world, taken_back) == ("rolled_back", "rolled_back")


def test_two_that_ask_at_once_are_one(world, taken_back):
    """The other one is told so, and one person is on record."""
    barrier, results = threading.Barrier(2), []

    def ask(name: str) -> None:
        state = State.open(world.url, ManualClock(world.clock.now()), home=world.root)
        try:
            barrier.wait()
            results.append(retry_release(state, taken_back.ref, actor=name, reason=WHY).status)
        except FlywheelError as error:
            results.append(error)
        finally:
            state.close()

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("jon", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [result for result in results if result != "awaiting_approval"]
    assert len(refused) == 1
    assert isinstance(refused[0], ConcurrencyError | RefusedError)
    attempt = world.state.cycles.attempt(taken_back.ref)
    assert len(attempt.further_tries.requested_by) == 1
    assert_audit_agrees(world)


@pytest.mark.parametrize(
    ("store", "method"),
    [
        ("cycles", "review_again"),
        ("approvals", "void"),
        ("attempts", "record"),
        ("releases", "change"),
        ("audit", "append"),
    ],
)
def test_killed_inside_its_transaction_it_changes_nothing(world, taken_back, store, method):
    """The repeat does all of it."""
    table = getattr(world.state, store)
    whole = getattr(table, method)

    def die(*arguments, **named):
        whole(*arguments, **named)
        raise Killed

    setattr(table, method, die)
    with pytest.raises(Killed):
        retry(world, taken_back)
    setattr(table, method, whole)
    assert status(world, taken_back) == ("rolled_back", "rolled_back")
    assert_audit_agrees(world)
    retry(world, taken_back)
    assert status(world, taken_back) == ("awaiting_approval", "candidate")
    assert_audit_agrees(world)


@pytest.mark.parametrize("fatal", STAGING_STEPS)
def test_the_second_try_begins_once_whenever_its_promotion_dies(world, taken_back, fatal):
    """The repeat ends the same, and nothing is registered twice."""
    retry(world, taken_back)
    world.approve(taken_back)
    version = world.state.releases.get("r2").model_version

    def die(step: str) -> None:
        if step == fatal:
            raise Killed

    with pytest.raises(Killed):
        world.promote(taken_back, on_step=die)
    done = world.promote(taken_back)
    assert (done.stage.number, done.model_version) == (4, version)
    assert len(world.state.stages.of(world.workload.id)) == 4
    assert_audit_agrees(world)
    assert_aliases_follow(world)


def test_a_release_that_is_not_the_candidate_any_more_is_refused(world, taken_back):
    """Who saw another release than the one that would be tried again has decided on something else."""
    before = status(world, taken_back)
    with pytest.raises(RefusedError, match="r1 is not the candidate of"):
        retry(world, taken_back, expected="r1")
    assert status(world, taken_back) == before
    assert_audit_agrees(world)
    retry(world, taken_back, expected="r2")
