"""`switch_champion`: a release takes the champion's place, with every row that says so."""

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import RefusedError
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.state import Approval, Lease, Release, Stage, State

__all__ = ["switch_champion"]


def switch_champion(
    state: State,
    release: Release,
    approval: Approval,
    lease: Lease,
    *,
    stage: Stage | None = None,
    reason: str = "",
) -> None:
    """Change route, releases, cycle and audit in one transaction.

    Args:
        state: the truth about who answers.
        release: the next champion.
        approval: that it rests on; names the champion that it replaces.
        lease: the workload's, still held.
        stage: the stage that it comes from; None where it was in none.
        reason: why that stage ends.

    Raises:
        RefusedError: another champion answers now, or another release is in a stage.
        ConcurrencyError: the lease was lost.
    """
    cycle = release.cycle_ref
    with state.transaction():
        current = state.stages.current(release.workload_id)
        if current is not None and current.release != release.release:
            raise RefusedError(
                f"{current.release} is in {current.kind}: one release of {release.workload_id} at a "
                "time.",
                next_step=f"wait for its end: `flywheel release show {release.workload_id}`",
            )
        if stage is not None:
            state.stages.end(stage, "promoted", reason, lease=lease)
            state.routes.clear_stages(release.workload_id, lease=lease)
        state.routes.switch_champion(
            release.workload_id,
            expected=approval.champion,
            release=release.release,
            reason=f"promotion of cycle {cycle.name}",
            lease=lease,
        )
        _settle(state, release, approval, reason)


def _settle(state: State, release: Release, approval: Approval, stage_reason: str) -> None:
    now, cycle = state.clock.now(), release.cycle_ref
    state.releases.change(
        release.release, status="champion", promoted_at=now, replaced=approval.champion
    )
    state.releases.mark_step(release.release, "switched", approved_by=approval.actor)
    if approval.champion != BASE_RELEASE:
        state.releases.change(approval.champion, status="retired")
    reason = f"{release.release} is champion, version {release.version}"
    state.cycles.set_status(cycle, "promoted", reason)
    details = {
        "release": release.release,
        "version": release.version,
        "replaced": approval.champion,
        "manifest_digest": release.manifest_digest,
        "gate_digest": approval.gate_digest,
        "approval": approval.id,
        "approved_by": approval.actor,
        "approver_simulated": approval.simulated,
        **({"reason": stage_reason} if stage_reason else {}),
    }
    state.audit.append("promotion.done", str(cycle), SYSTEM, details)
