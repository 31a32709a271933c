"""A person's verdict on a candidate, bound to the evidence it was given on.

An approval counts for one adapter, one gate report and one champion; it expires, and anything that
changes in between voids it. On the command line the name is taken on trust, and the row says so.
"""

from typing import Any

from flywheel.errors import IntegrityError, RefusedError
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.evidence import require_pass
from flywheel.release.four_eyes import (
    SIMULATED,
    cycle_workload,
    is_same_person,
    requesters,
    require_person,
)
from flywheel.state import Approval, Attempt, Cycle, CycleStatus, State

__all__ = ["approve", "cycle_workload", "reject", "valid_approval", "void"]

_REVIEWABLE = ("awaiting_approval", "approved", "expired")
_REJECTABLE = ("awaiting_judgments", *_REVIEWABLE)


def approve(
    state: State, workload_id: str, cycle: str, *, actor: str, reason: str, channel: str = "cli"
) -> Approval:
    """Let a candidate through to promotion.

    Args:
        state: knows the cycle and its evidence.
        workload_id: whose cycle it is.
        cycle: its name.
        actor: who approves; a name that starts with ``simulated:`` is marked as simulated.
        reason: why, in a sentence.
        channel: how the person came in.

    Raises:
        RefusedError: the cycle is not up for review, its gate did not pass, the champion changed
            since, the approver is who asked for the cycle, or the reason is empty.
        IntegrityError: the gate report or the adapter was changed.
    """
    present, attempt = _reviewable(state, workload_id, cycle)
    if any(is_same_person(actor, asked) for asked in requesters(present, attempt)):
        raise RefusedError(
            f"{actor} asked for cycle {cycle} and cannot approve it.",
            next_step="ask another person to review it",
        )
    report = require_pass(attempt)
    changed = _changed_subject(state, attempt, report)
    if changed:
        raise RefusedError(changed, next_step="run the gate again")
    checked_adapter(state.releases.get(attempt.facts["release"]))
    return _record(state, present, attempt, "approved", actor, reason, channel)


def reject(
    state: State, workload_id: str, cycle: str, *, actor: str, reason: str, channel: str = "cli"
) -> Approval:
    """Close a cycle without promotion; the one who asked for it may do so.

    Raises:
        RefusedError: the cycle is not up for review, or the reason is empty.
    """
    present, attempt = _reviewable(state, workload_id, cycle, _REJECTABLE)
    return _record(state, present, attempt, "rejected", actor, reason, channel)


def valid_approval(state: State, workload_id: str, cycle: str) -> Approval:
    """Return the approval that still counts; one that does not is voided, with the reason.

    Raises:
        RefusedError: there is none, it expired, or what it was given on has changed.
        IntegrityError: the gate report was changed.
    """
    approval = state.approvals.granted(workload_id, cycle)
    if approval is None:
        raise RefusedError(
            f"Cycle {cycle} of {workload_id} has no approval that counts.",
            next_step=f"review it: `flywheel approve {workload_id} {cycle} --as NAME --reason TEXT`",
        )
    if state.clock.now() >= approval.expires_at:
        why = f"it expired at {approval.expires_at:%Y-%m-%d %H:%M} UTC"
        void(state, approval, why, status="expired")
        raise RefusedError(
            f"The approval of cycle {cycle} does not count: {why}.", next_step="review it again"
        )
    try:
        why = _difference(state, approval)
    except RefusedError as error:
        why = error.message
    except IntegrityError as error:
        void(state, approval, error.message)
        raise
    if why:
        void(state, approval, why)
        raise RefusedError(
            f"The approval of cycle {cycle} does not count: {why}",
            next_step="look at what changed, run the gate again where needed, review it again",
        )
    return approval


def void(
    state: State, approval: Approval, why: str, *, status: CycleStatus = "awaiting_approval"
) -> None:
    """Say that an approval no longer counts, and send its cycle back."""
    with state.transaction():
        state.approvals.void(approval.id, why)
        if state.cycles.get(approval.workload_id, approval.cycle).status == "approved":
            reason = f"the approval does not count: {why}"
            state.cycles.set_status(approval.workload_id, approval.cycle, status, reason)
        _audit(state, approval, "approval.voided", "system", why=why)


def _reviewable(
    state: State, workload_id: str, cycle: str, statuses: tuple[str, ...] = _REVIEWABLE
) -> tuple[Cycle, Attempt]:
    present = state.cycles.get(workload_id, cycle)
    if present.status not in statuses:
        raise RefusedError(
            f"Cycle {cycle} of {workload_id} is {present.status}: {present.status_reason}",
            next_step=f"see `flywheel explain {workload_id} {cycle}`",
        )
    return present, state.cycles.attempt(workload_id, cycle)


def _changed_subject(state: State, attempt: Attempt, report: dict[str, Any]) -> str:
    subject = report["subject"]
    release = state.releases.get(attempt.facts["release"])
    champion = state.routes.champion(attempt.workload_id)
    if (subject["candidate"], subject["manifest_digest"]) != (
        release.release,
        release.manifest_digest,
    ):
        return f"The gate judged {subject['candidate']}, the candidate is {release.release}."
    if (subject["cycle"], subject["attempt"]) != (attempt.cycle, attempt.number):
        return f"The gate judged attempt {subject['attempt']}, the present one is {attempt.number}."
    if subject["champion"] != champion:
        return f"The gate compared with {subject['champion']}, the champion is now {champion}."
    return ""


def _difference(state: State, approval: Approval) -> str:
    attempt = state.cycles.attempt(approval.workload_id, approval.cycle)
    report = require_pass(attempt)
    release = state.releases.get(attempt.facts["release"])
    for what, then, now in (
        ("attempt", approval.attempt, attempt.number),
        ("candidate", approval.release, release.release),
        ("candidate's manifest", approval.manifest_digest, release.manifest_digest),
        ("gate report", approval.gate_digest, attempt.facts["gate_digest"]),
        ("champion", approval.champion, state.routes.champion(approval.workload_id)),
    ):
        if then != now:
            return f"the {what} is now {now}, reviewed was {then}."
    return _changed_subject(state, attempt, report)


def _record(
    state: State,
    cycle: Cycle,
    attempt: Attempt,
    verdict: str,
    actor: str,
    reason: str,
    channel: str,
) -> Approval:
    actor, reason = require_person(actor, reason, what="A verdict")
    release = state.releases.get(attempt.facts["release"])
    workload = cycle_workload(cycle)
    with state.transaction():
        standing = state.approvals.granted(cycle.workload_id, cycle.name)
        if standing is not None:
            state.approvals.void(standing.id, f"replaced by a later verdict of {actor}")
        approval = state.approvals.record(
            workload_id=cycle.workload_id,
            cycle=cycle.name,
            attempt=attempt.number,
            verdict=verdict,
            actor=actor,
            simulated=actor.startswith(SIMULATED),
            channel=channel,
            identity="on_trust",
            requested_by=", ".join(requesters(cycle, attempt)),
            reason=reason,
            release=release.release,
            manifest_digest=release.manifest_digest,
            gate_digest=attempt.facts["gate_digest"],
            champion=state.routes.champion(cycle.workload_id),
            days=workload.gates.approval_days,
        )
        status: CycleStatus = "approved" if verdict == "approved" else "rejected"
        state.cycles.set_status(cycle.workload_id, cycle.name, status, f"{actor}: {reason}")
        _audit(state, approval, f"approval.{verdict}", approval.actor)
    return approval


def _audit(state: State, approval: Approval, event: str, actor: str, **more: str) -> None:
    details = {
        "release": approval.release,
        "manifest_digest": approval.manifest_digest,
        "gate_digest": approval.gate_digest,
        "champion": approval.champion,
        "requested_by": approval.requested_by,
        "reason": approval.reason,
        "channel": approval.channel,
        "identity": approval.identity,
        "simulated": approval.simulated,
        "expires_at": approval.expires_at.isoformat(),
        **more,
    }
    state.audit.append(event, f"{approval.workload_id}/{approval.cycle}", actor, details)
