"""`advance_release`: what a look at a stage leads to is done, as one operation under the lease.

A crash anywhere is mended by the next look: who answers changes in exactly one SQL transaction, and
what comes before and after it can be repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import ConcurrencyError, IntegrityError, RefusedError
from flywheel.ports.model_server import ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.aliases import follow_aliases
from flywheel.release.approval import stage_approval
from flywheel.release.champion_switch import switch_champion
from flywheel.release.look import Look
from flywheel.release.path import Action, PlannedStage, Step, next_step
from flywheel.release.promotion import promotion_lease
from flywheel.release.registry import MlflowRegistry
from flywheel.release.serving import swap, unload_retired
from flywheel.release.smoke_test import smoke_test
from flywheel.release.staging import enter_stage, plan_of, withdraw_release
from flywheel.state import Lease, Release, Stage, State
from flywheel.workload.answers import AnswerCodec

__all__ = ["ADVANCE_STEPS", "ReleaseMove", "advance_release", "look_is_due", "stage_step"]

ADVANCE_STEPS = ("looked", "smoke_tested", "switched", "aliased")
_LEASE_SECONDS = 600.0
# A look like the one before is recorded again after a hundredth of the stage's age: about 600 rows
# in a week of looks a minute.
_SPACING, _LEAST_SPACING = 0.01, timedelta(minutes=1)


@dataclass(frozen=True)
class ReleaseMove:
    """What a look at a stage led to.

    Attributes:
        workload_id: whose release it is.
        cycle: that trained it.
        release: the release.
        action: what was done.
        reason: why, with the figures of the look.
        stage: where the release is now; None once it is champion or rolled back.
        champion: the release that answers now.
        alias_problem: why MLflow's aliases have not followed; empty where they have.
    """

    workload_id: str
    cycle: str
    release: str
    action: Action
    reason: str
    stage: Stage | None
    champion: str
    alias_problem: str = ""


def advance_release(  # noqa: PLR0913 - everything that must agree
    state: State,
    server: Callable[[], ModelServer],
    registry: Callable[[], MlflowRegistry],
    stage: Stage,
    look: Look,
    *,
    codec: Callable[[], AnswerCodec],
    drain_seconds: float = 0.0,
    on_step: Callable[[str], None] = lambda _: None,
) -> ReleaseMove:
    """Record a look at a stage, and do what follows from it.

    Args:
        state: the truth about who answers.
        server: returns the server that gets the release loaded; not called where nothing moves.
        registry: returns the registry whose aliases follow; not called where nothing moves.
        stage: the stage that was looked at.
        look: what it showed.
        codec: returns how answers are written for the base model.
        drain_seconds: how long a release that is not needed any more stays loaded.
        on_step: gets each of ``ADVANCE_STEPS`` once it is done.

    Raises:
        ConcurrencyError: another process moved the release since, or does so right now.
        UnavailableError: the model server is away; nothing was changed.
    """
    with state.leases.hold(promotion_lease(stage.workload_id), None, _LEASE_SECONDS) as lease:
        _require_current(state, stage)
        step = stage_step(state, stage, look)
        if look_is_due(state, stage, look) or step.action != "go_on":
            figures = look.figures
            state.stages.add_look(stage, outcome=look.outcome, reason=look.reason, figures=figures)
        on_step("looked")
        if step.action == "go_on":
            return _move(state, stage, step)
        if step.action != "roll_back":
            step = _go_forward(state, server(), stage, step, lease, codec(), on_step)
        if step.action == "roll_back":
            withdraw_release(state, stage, lease, actor=SYSTEM, reason=step.reason)
        on_step("switched")
        problem = follow_aliases(state, registry(), stage.workload_id)
        if not problem and step.action == "promote":
            state.releases.mark_step(stage.release, "aliased")
        on_step("aliased")
        move = _move(state, stage, step, problem)
    unload_retired(state, server(), stage.workload_id, drain_seconds=drain_seconds)
    return move


def stage_step(state: State, stage: Stage, look: Look) -> Step:
    """Return what is to happen to a release in a stage; nothing is done, but for an approval's voiding.

    A release whose approval was voided, or whose champion is another one now, is rolled back.
    """
    release = state.releases.get(stage.release)
    try:
        stage_approval(state, release.cycle_ref)
        plan = plan_of(state, release, stage)
        return next_step(stage, look, plan, state.clock.now())
    except (RefusedError, IntegrityError) as error:
        return Step("roll_back", error.message)


def look_is_due(state: State, stage: Stage, look: Look) -> bool:
    """Return whether a look is worth a row: the verdict changed, or time has passed since the last."""
    newest = state.stages.newest_look(stage)
    if newest is None or newest.outcome != look.outcome:
        return True
    now = state.clock.now()
    age = now - stage.began_at
    return now - newest.at >= max(_SPACING * age, _LEAST_SPACING)


def _require_current(state: State, stage: Stage) -> None:
    current = state.stages.current(stage.workload_id)
    if current is None or current.id != stage.id:
        raise ConcurrencyError(
            f"{stage.release} is not in stage {stage.number} any more: another process moved it.",
            next_step=f"look at `flywheel release show {stage.workload_id}`",
        )


def _go_forward(
    state: State,
    server: ModelServer,
    stage: Stage,
    step: Step,
    lease: Lease,
    codec: AnswerCodec,
    on_step: Callable[[str], None],
) -> Step:
    release = state.releases.get(stage.release)

    def check() -> None:
        smoke_test(server, release, codec)
        state.leases.renew(lease, _LEASE_SECONDS)
        on_step("smoke_tested")

    switch = partial(_switch, state, release, stage, step, lease)
    try:
        swap(server, release.release, checked_adapter(release), check=check, switch=switch)
    except IntegrityError as error:
        # A file was changed, or it does not answer any more: it must not answer more people.
        return Step("roll_back", error.message)
    return step


def _switch(state: State, release: Release, stage: Stage, step: Step, lease: Lease) -> None:
    with state.transaction():
        approval = stage_approval(state, release.cycle_ref)
        planned: PlannedStage | None = step.stage
        if planned is None:
            switch_champion(state, release, approval, lease, stage=stage, reason=step.reason)
        else:
            reason = step.reason
            enter_stage(state, release, planned, approval, lease, before=stage, reason=reason)


def _move(state: State, stage: Stage, step: Step, alias_problem: str = "") -> ReleaseMove:
    return ReleaseMove(
        workload_id=stage.workload_id,
        cycle=state.releases.get(stage.release).cycle,
        release=stage.release,
        action=step.action,
        reason=step.reason,
        stage=state.stages.current(stage.workload_id),
        champion=state.routes.champion(stage.workload_id),
        alias_problem=alias_problem,
    )
