"""A release between approval and champion: each step is one operation, and can be taken back."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from flywheel.errors import ConcurrencyError, RefusedError, UnavailableError
from flywheel.release.approval import approve, reject
from flywheel.release.promotion import PROMOTION_STEPS, STAGING_STEPS
from flywheel.release.rollback import rollback
from flywheel.release.standing import cycle_standings
from tests.fakes.release_checks import assert_aliases_follow, assert_audit_agrees
from tests.fakes.release_world import ReleaseWorld

PATH = {"shadow": {"days": 1}, "canary": [{"share": 0.1, "days": 1}, {"share": 0.5, "days": 1}]}


@pytest.fixture
def begun(request, resumed):
    """Return the world of a test, and the cycle of r2 where it is in shadow."""
    is_in_shadow = "second" in request.fixturenames
    return resumed(is_in_shadow, _put_in_shadow if is_in_shadow else lambda _: None, release=PATH)


@pytest.fixture
def world(begun) -> ReleaseWorld:
    """Return a workload whose releases go through shadow and two canaries."""
    return begun[0]


@pytest.fixture
def second(begun):
    """Return the cycle of r2, in shadow against the champion r1."""
    return begun[1]


def _put_in_shadow(world):
    staged = world.workload
    world.workload = staged.model_copy(update={"release": None})
    world.promote(world.approved("r1"))
    world.workload = staged
    world.pass_days(1)
    cycle = world.approved("r2")
    world.promote(cycle)
    return cycle


def routes(world) -> dict[str, tuple[str, float]]:
    return {
        route.route: (route.release, route.weight)
        for route in world.state.routes.of(world.workload.id)
    }


def status(world, release: str) -> str:
    return world.state.releases.get(release).status


def assert_one_story(world) -> None:
    """Route table, statuses, aliases, stages and audit agree."""
    assert_audit_agrees(world)
    assert_aliases_follow(world)
    for route, (release, _) in routes(world).items():
        assert release == "base" or status(world, release) == route


def take_back(world, **how):
    arguments = {"actor": "eve", "reason": "complaints", **how}
    return rollback(world.state, world.server, world.registry, world.workload.id, **arguments)


def test_a_promotion_begins_with_the_first_stage(world):
    """Nobody is answered by it yet, and a repeat changes nothing."""
    cycle = world.approved("r1")
    steps: list[str] = []
    done = world.promote(cycle, on_step=steps.append)
    assert tuple(steps) == STAGING_STEPS
    assert routes(world) == {"shadow": ("r1", 0.2)}
    assert (done.version, done.replaced, done.stage) == ("1.0.0", "base", world.stage())
    assert world.stage().reason == "approved by simulated:bob"
    assert (status(world, "r1"), world.state.cycles.get(cycle.ref).status) == (
        "shadow",
        "releasing",
    )
    assert world.state.routes.champion(world.workload.id) == "base"
    assert_one_story(world)
    rows = len(world.state.audit.of())
    assert world.promote(cycle) == done
    assert len(world.state.audit.of()) == rows


def test_a_release_goes_through_every_stage_to_champion(world, second):
    """Each step is in the audit; the old champion is unloaded at the end."""
    workload_id, seen = world.workload.id, []
    for _ in range(3):
        assert "r1" in world.server.loaded
        seen.append(routes(world))
        world.pass_days(1)
        assert_one_story(world)
        world.advance()
    assert seen == [
        {"champion": ("r1", 1.0), "shadow": ("r2", 0.2)},
        {"champion": ("r1", 1.0), "canary": ("r2", 0.1)},
        {"champion": ("r1", 1.0), "canary": ("r2", 0.5)},
    ]
    assert routes(world) == {"champion": ("r2", 1.0)}
    assert (status(world, "r1"), status(world, "r2")) == ("retired", "champion")
    assert "r1" not in world.server.loaded
    assert world.state.cycles.get(second.ref).status == "promoted"
    rows = world.state.audit.of(f"{workload_id}/{second.name}")
    events = [row.event for row in rows if row.event.startswith(("release.", "promotion."))]
    assert events == ["release.stage_began"] * 3 + ["promotion.done"]
    outcomes = [stage.outcome for stage in world.state.stages.of(workload_id)[-3:]]
    assert outcomes == ["advanced", "advanced", "promoted"]
    assert "1000 of 200 answers" in world.state.stages.of(workload_id)[-1].reason
    assert_one_story(world)
    assert world.promote(second).stage is None


def test_a_look_before_the_time_changes_nothing(world, second):
    """Neither routes nor aliases nor server; the look is recorded."""
    before = routes(world)
    move = world.advance("equivalent", answers=7)
    assert (move.action, move.stage, routes(world)) == ("go_on", world.stage(), before)
    looks = world.state.stages.looks(world.stage())
    assert [(look.outcome, look.figures) for look in looks] == [("equivalent", {"answers": 7})]


def test_looks_are_recorded_when_the_verdict_changes_or_time_has_passed(world, second):
    """A look a minute for weeks must not fill the table."""
    for outcome in ("go_on", "go_on", "equivalent", "equivalent", "go_on"):
        world.advance(outcome, answers=1)
    assert len(world.state.stages.looks(world.stage())) == 3
    world.pass_days(0.5)
    world.advance(answers=1)
    assert len(world.state.stages.looks(world.stage())) == 4


@pytest.mark.parametrize("outcome", ["worse", "silent"])
@pytest.mark.parametrize("stages", [0, 1, 2])
def test_worse_or_silent_takes_a_release_back_by_itself(world, second, outcome, stages):
    """The champion answers everybody as before, and the reason stands everywhere."""
    for _ in range(stages):
        world.pass_days(1)
        world.advance()
    move = world.advance(outcome)
    assert (move.action, move.stage, move.champion) == ("roll_back", None, "r1")
    assert routes(world) == {"champion": ("r1", 1.0)}
    assert (status(world, "r1"), status(world, "r2")) == ("champion", "rolled_back")
    assert "r2" not in world.server.loaded
    row = world.state.audit.of(f"{world.workload.id}/{second.name}")[-1]
    assert (row.event, row.actor) == ("release.withdrawn", "system")
    assert f"{outcome} by the figures" in row.details["reason"]
    assert world.state.stages.looks(world.state.stages.of(world.workload.id)[-1])
    standing = cycle_standings(world.state, world.workload.id)[second.name]
    assert standing.status == "rolled back"
    assert f"{outcome} by the figures" in standing.reason
    assert_one_story(world)
    with pytest.raises(RefusedError, match="not promoted again"):
        world.promote(second)
    world.pass_days(1)
    assert world.open_cycle().is_open


def test_an_approval_that_expires_in_a_stage_counts_on(world, second):
    """It was valid when the first stage began."""
    world.pass_days(30)
    assert world.advance().action == "advance"
    assert world.stage().kind == "canary"


def test_an_approval_that_is_voided_takes_its_release_back(world, second):
    """Whatever the figures say."""
    approval = world.state.approvals.granted(second.ref)
    world.state.approvals.void(approval.id, "given by mistake")
    move = world.advance("better")
    assert move.action == "roll_back"
    assert "given by mistake" in move.reason
    assert_one_story(world)


def test_a_damaged_adapter_goes_no_further(world, second):
    """It is taken back at the next step, and the champion answers on."""
    file = Path(world.state.releases.get("r2").adapter) / "adapter_model.safetensors"
    file.write_bytes(b"x")
    world.pass_days(1)
    move = world.advance()
    assert move.action == "roll_back"
    assert "not the file that was trained" in move.reason
    assert_one_story(world)


def test_a_release_that_does_not_answer_any_more_goes_no_further(world, second):
    """The smoke test stands before every step."""
    world.server.replies["r2"] = lambda _: None
    world.pass_days(1)
    assert "smoke test" in world.advance().reason
    assert_one_story(world)


def test_a_server_that_is_away_changes_nothing(world, second, monkeypatch):
    """The next look tries again."""
    before = routes(world)
    world.pass_days(1)
    with monkeypatch.context() as patched:
        away = UnavailableError("The model server is away.", next_step="start it")
        patched.setattr(world.server, "answer", Mock(side_effect=away))
        with pytest.raises(UnavailableError):
            world.advance()
    assert routes(world) == before
    assert world.advance().action == "advance"


def test_a_person_takes_a_release_out_of_its_stage(world, second):
    """Without one in a stage the next rollback is the champion's."""
    done = take_back(world)
    assert (done.withdrawn, done.champion, done.stage) == ("r2", "r1", "shadow")
    row = world.state.audit.of(f"{world.workload.id}/{second.name}")[-1]
    assert (row.event, row.actor, row.details["reason"]) == (
        "release.withdrawn",
        "eve",
        "complaints",
    )
    assert_one_story(world)
    assert take_back(world, expected="r1").champion == "base"


def test_a_rollback_of_the_champion_takes_the_release_in_a_stage_with_it(world, second):
    """It was measured against that champion."""
    with pytest.raises(RefusedError, match="not r9"):
        take_back(world, expected="r9")
    done = take_back(world, expected="r1")
    assert (done.withdrawn, done.champion, done.stage) == ("r1", "base", None)
    assert routes(world) == {"champion": ("base", 1.0)}
    assert (status(world, "r1"), status(world, "r2")) == ("rolled_back", "rolled_back")
    assert world.registry.aliases(world.workload.id) == {}
    world.state.audit.verify()


def test_a_cycle_in_a_stage_takes_no_other_verdict(world, second):
    """Neither approved nor rejected again, nor stopped, nor gated."""
    for verdict in (approve, reject):
        with pytest.raises(RefusedError, match="is releasing"):
            verdict(world.state, second.ref, actor="eve", reason="no")
    with pytest.raises(RefusedError, match="releasing") as refused:
        world.state.cycles.set_status(second.ref, "stopped", "")
    assert "flywheel rollback" in refused.value.next_step
    with pytest.raises(RefusedError, match="its gate is closed"):
        world.gate(second, "r2", again=True)
    with pytest.raises(RefusedError, match="is releasing"):
        world.state.cycles.new_attempt(second.ref, "again")


def test_a_stage_that_was_moved_meanwhile_is_left_alone(world, second):
    """Of two that looked at the same stage one moves the release."""
    stage = world.stage()
    world.pass_days(1)
    world.advance()
    with pytest.raises(ConcurrencyError, match="another process moved it"):
        world.advance(stage=stage)
    assert world.stage().number == 2
    assert_one_story(world)


def test_the_first_release_may_skip_the_shadow(tmp_path, registry):
    """And its stage says so."""
    world = ReleaseWorld(tmp_path, registry, release={**PATH, "first_release": "canary"})
    world.promote(world.approved("r1"))
    assert (world.stage().kind, world.stage().share) == ("canary", 0.1)
    assert "skips the shadow" in world.stage().reason
    assert_one_story(world)
    world.close()


def test_the_first_release_may_be_the_champion_at_once(tmp_path, registry):
    """The one after it is not first, also where the base answers again."""
    world = ReleaseWorld(tmp_path, registry, release={**PATH, "first_release": "champion"})
    steps: list[str] = []
    world.promote(world.approved("r1"), on_step=steps.append)
    assert tuple(steps) == PROMOTION_STEPS
    take_back(world)
    assert world.state.routes.champion(world.workload.id) == "base"
    world.pass_days(1)
    world.promote(world.approved("r2"))
    assert world.stage().kind == "shadow"
    assert_one_story(world)
    world.close()


def test_where_a_release_stands_is_said_with_its_share(world, second):
    """In lists of cycles."""
    standing = cycle_standings(world.state, world.workload.id)[second.name]
    assert standing.status == "in shadow"
    assert "r2, version 1.0.1, is in shadow since" in standing.reason
    world.pass_days(1)
    world.advance()
    standing = cycle_standings(world.state, world.workload.id)[second.name]
    assert standing.status == "in canary"
    assert "canary of 10 %" in standing.reason


def test_a_lost_registry_version_stops_no_step(world, second):
    """Routing goes on from the table; what does not follow is said."""
    version = world.state.releases.get("r1").model_version
    world.registry.lose(world.workload.id, version)
    world.pass_days(1)
    move = world.advance()
    assert (move.action, routes(world)["canary"]) == ("advance", ("r2", 0.1))
    assert "no model version of r1" in move.alias_problem
    assert world.registry.aliases(world.workload.id) == {
        "canary": world.state.releases.get("r2").model_version
    }
