"""`enter_stage`, `withdraw_release`: one transaction each, with every row; `plan_of` a release."""

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import RefusedError
from flywheel.release.path import EarlierTries, PlannedStage, release_plan, stage_name
from flywheel.state import Approval, Cycle, Lease, Release, Stage, State

__all__ = ["enter_stage", "plan_of", "require_not_rolled_back", "withdraw_release"]


def plan_of(state: State, release: Release, stage: Stage | None = None) -> tuple[PlannedStage, ...]:
    """Return the stages of a release by its workload as it was approved.

    Those of another try are numbered on from the earlier ones.

    Args:
        state: the truth about what was promoted and taken back before.
        release: on its way to champion.
        stage: one of its stages, whose try is meant; what came after it makes no difference. None: the
            try that would begin now.
    """
    at = state.clock.now() if stage is None else stage.began_at
    first = not any(
        other.promoted_at is not None and other.promoted_at <= at
        for other in state.releases.of(release.workload_id)
        if other.release != release.release
    )
    rules = state.cycles.get(release.cycle_ref).opened.workload.release
    return release_plan(rules, first=first, earlier=_earlier_tries(state, release, stage))


def _earlier_tries(state: State, release: Release, stage: Stage | None) -> EarlierTries:
    own = [one for one in state.stages.of(release.workload_id) if one.release == release.release]
    ends = [
        one.number
        for one in own
        if one.outcome == "rolled_back" and (stage is None or one.number < stage.number)
    ]
    last = max(ends, default=0)
    passed = any(
        (one.kind, one.outcome) == ("shadow", "advanced") for one in own if one.number < last
    )
    return EarlierTries(last, passed)


def enter_stage(
    state: State,
    release: Release,
    planned: PlannedStage,
    approval: Approval,
    lease: Lease,
    *,
    before: Stage | None = None,
    reason: str = "",
) -> Stage:
    """Let a release enter a stage: route table, stage, release, cycle and audit.

    Args:
        state: the truth about who answers.
        release: enters the stage.
        planned: the stage.
        approval: that the release rests on; names the champion that it is measured against.
        lease: the workload's, still held.
        before: the stage that ends with this; None for the first one.
        reason: why the stage before ends.

    Raises:
        ConcurrencyError: the lease was lost, or a stage of the workload has not ended.
    """
    cycle, workload_id = release.cycle_ref, release.workload_id
    began = f"approved by {approval.actor}" if before is None else f"after {_named(before)}"
    began = f"{began}, {planned.note}" if planned.note else began
    with state.transaction():
        if before is not None:
            state.stages.end(before, "advanced", reason, lease=lease)
        stage = state.stages.begin(
            workload_id,
            release=release.release,
            champion=approval.champion,
            number=planned.number,
            kind=planned.kind,
            share=planned.share,
            reason=began,
            lease=lease,
        )
        state.routes.set_stage(
            workload_id,
            planned.kind,
            release=release.release,
            weight=planned.share,
            reason=f"{planned.name} of cycle {cycle.name}",
            lease=lease,
        )
        state.releases.change(release.release, status=planned.kind)
        state.releases.mark_step(
            release.release, f"stage_{planned.number}", approved_by=approval.actor
        )
        on_its_way = f"{release.release}, version {release.version}, is on its way to champion"
        state.cycles.set_status(cycle, "releasing", on_its_way)
        details = {
            **_facts(stage),
            "version": release.version,
            "approval": approval.id,
            "reason": reason or began,
        }
        state.audit.append("release.stage_began", str(cycle), SYSTEM, details)
        return stage


def withdraw_release(
    state: State,
    stage: Stage,
    lease: Lease,
    *,
    actor: str,
    reason: str,
    details: dict[str, str] | None = None,
) -> None:
    """Take a release out of shadow or canary; the champion answers as before.

    Args:
        state: the truth about who answers.
        stage: where the release is; must not have ended.
        lease: the workload's, still held.
        actor: ``system`` where a guard took it back.
        reason: why, in a sentence.
        details: further facts for the audit, such as the channel of a person.

    Raises:
        ConcurrencyError: the lease was lost, or the stage has ended.
    """
    cycle = state.releases.get(stage.release).cycle_ref
    by = "" if actor == SYSTEM else f" by {actor}"
    text = f"rolled back{by}: {reason}"
    with state.transaction():
        state.stages.end(stage, "rolled_back", text, lease=lease)
        state.routes.clear_stages(stage.workload_id, lease=lease)
        state.releases.change(stage.release, status="rolled_back")
        state.cycles.set_status(cycle, "rolled_back", f"{stage.release} was {text}", actor=actor)
        facts = {**_facts(stage), **(details or {}), "reason": reason}
        state.audit.append("release.withdrawn", str(cycle), actor, facts)


def require_not_rolled_back(release: Release, cycle: Cycle) -> None:
    """Refuse a release that was rolled back, with what can be done instead."""
    if release.status != "rolled_back":
        return
    instead = "open the next cycle"
    if cycle.status == "rolled_back":
        instead += (
            " or, where the release was not to blame, ask for another try: `flywheel release retry "
            f"{cycle.workload_id} {cycle.name} --as NAME --reason TEXT`"
        )
    raise RefusedError(
        f"{release.release} was rolled back and is not promoted again.", next_step=instead
    )


def _named(stage: Stage) -> str:
    return stage_name(stage.kind, stage.share)


def _facts(stage: Stage) -> dict[str, object]:
    return {
        "release": stage.release,
        "champion": stage.champion,
        "stage": stage.number,
        "kind": stage.kind,
        "share": stage.share,
    }
