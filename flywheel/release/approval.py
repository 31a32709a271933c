"""A person's verdict on a candidate, bound to the evidence it was given on.

An approval counts for one adapter, one gate report and one champion; it expires, and anything that
changes in between voids it. The row says whether the person was verified or the name taken on trust.
"""

from dataclasses import dataclass
from textwrap import shorten
from typing import Literal

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.gate_report import GateReport
from flywheel.errors import IntegrityError, RefusedError
from flywheel.release.adapter_files import checked_adapter
from flywheel.release.evidence import candidate_of, gate_of, require_pass
from flywheel.release.four_eyes import (
    SIMULATED,
    Actor,
    actor_of,
    requesters,
    require_person,
)
from flywheel.state import Approval, Attempt, Cycle, CycleStatus, State

__all__ = ["approve", "reject", "stage_approval", "valid_approval", "void"]

_REVIEWABLE = ("awaiting_approval", "approved", "expired")
_REJECTABLE = ("awaiting_judgments", *_REVIEWABLE)


def approve(
    state: State,
    cycle: CycleRef,
    *,
    actor: str | Actor,
    reason: str,
    channel: str = "cli",
    evidence: str | None = None,
) -> Approval:
    """Let a candidate through to promotion.

    Args:
        state: knows the cycle and its evidence.
        cycle: whose candidate it is.
        actor: who approves, a plain name on trust; one that starts with ``simulated:`` is marked
            as simulated.
        reason: why, in a sentence.
        channel: how the person came in.
        evidence: digest of the page that the person read, for the audit.

    Raises:
        RefusedError: the cycle is not up for review, its gate did not pass, the champion changed
            since, the approver is who asked for the cycle, or the reason is empty.
        IntegrityError: the gate report or the adapter was changed.
    """
    cycle_now, attempt = _reviewable(state, cycle)
    person = actor_of(actor)
    if person.is_one_of(requesters(cycle_now, attempt)):
        raise RefusedError(
            f"{person.name.strip()} asked for cycle {cycle.name} and cannot approve it.",
            next_step="ask another person to review it",
        )
    report = require_pass(attempt)
    changed = _changed_subject(state, attempt, report)
    if changed:
        raise RefusedError(changed, next_step="run the gate again")
    checked_adapter(state.releases.get(candidate_of(attempt).release))
    verdict = _Verdict("approved", person, reason, channel, evidence)
    return _record(state, cycle_now, attempt, verdict)


def reject(
    state: State,
    cycle: CycleRef,
    *,
    actor: str | Actor,
    reason: str,
    channel: str = "cli",
    evidence: str | None = None,
) -> Approval:
    """Close a cycle without promotion; the one who asked for it may do so.

    Raises:
        RefusedError: the cycle is not up for review, or the reason is empty.
    """
    cycle_now, attempt = _reviewable(state, cycle, _REJECTABLE)
    verdict = _Verdict("rejected", actor_of(actor), reason, channel, evidence)
    return _record(state, cycle_now, attempt, verdict)


def valid_approval(state: State, cycle: CycleRef) -> Approval:
    """Return the approval that still counts; one that does not is voided, with the reason.

    Raises:
        RefusedError: there is none, it expired, or what it was given on has changed.
        IntegrityError: the gate report was changed.
    """
    approval = _granted(state, cycle)
    if state.clock.now() >= approval.expires_at:
        reason = f"it expired at {approval.expires_at:%Y-%m-%d %H:%M} UTC"
        void(state, approval, reason, status="expired")
        raise RefusedError(
            f"The approval of cycle {cycle.name} does not count: {reason}.",
            next_step="review it again",
        )
    return _unchanged(state, approval)


def stage_approval(state: State, cycle: CycleRef) -> Approval:
    """Return the approval that a release in shadow or canary rests on.

    It counted when the first stage began, so that its expiry means nothing any more; whatever else
    voids an approval does.

    Raises:
        RefusedError: it was voided, or what it was given on has changed.
        IntegrityError: the gate report was changed.
    """
    return _unchanged(state, _granted(state, cycle))


def _granted(state: State, cycle: CycleRef) -> Approval:
    approval = state.approvals.granted(cycle)
    if approval is None:
        verdicts = state.approvals.of_cycle(cycle)
        cause = f": {verdicts[-1].void_reason}" if verdicts and verdicts[-1].void_reason else ""
        raise RefusedError(
            f"Cycle {cycle.name} of {cycle.workload_id} has no approval that counts{cause}.",
            next_step=f"review it: `flywheel approve {cycle.workload_id} {cycle.name} --as NAME --reason TEXT`",
        )
    return approval


def _unchanged(state: State, approval: Approval) -> Approval:
    try:
        reason = _difference(state, approval)
    except RefusedError as error:
        reason = error.message
    except IntegrityError as error:
        void(state, approval, error.message)
        raise
    if reason:
        void(state, approval, reason)
        raise RefusedError(
            f"The approval of cycle {approval.cycle} does not count: {reason}",
            next_step="look at what changed, run the gate again where needed, review it again",
        )
    return approval


def void(
    state: State, approval: Approval, why: str, *, status: CycleStatus = "awaiting_approval"
) -> None:
    """Say that an approval no longer counts, and send its cycle back."""
    with state.transaction():
        state.approvals.void(approval.id, why)
        if state.cycles.get(approval.cycle_ref).status == "approved":
            reason = f"the approval does not count: {why}"
            state.cycles.set_status(approval.cycle_ref, status, reason)
        _audit(state, approval, "approval.voided", SYSTEM, why=why)


def _reviewable(
    state: State, cycle: CycleRef, statuses: tuple[str, ...] = _REVIEWABLE
) -> tuple[Cycle, Attempt]:
    cycle_now = state.cycles.get(cycle)
    if cycle_now.status not in statuses:
        raise RefusedError(
            f"Cycle {cycle.name} of {cycle.workload_id} is {cycle_now.status}: {cycle_now.status_reason}",
            next_step=f"see `flywheel explain {cycle.workload_id} {cycle.name}`",
        )
    return cycle_now, state.cycles.attempt(cycle)


def _changed_subject(state: State, attempt: Attempt, report: GateReport) -> str:
    subject = report.subject
    release = state.releases.get(candidate_of(attempt).release)
    champion = state.routes.champion(attempt.workload_id)
    if (subject.candidate, subject.manifest_digest) != (
        release.release,
        release.manifest_digest,
    ):
        return f"The gate judged {subject.candidate}, the candidate is {release.release}."
    if (subject.cycle, subject.attempt) != (attempt.cycle, attempt.number):
        return f"The gate judged attempt {subject.attempt}, the present one is {attempt.number}."
    if subject.champion != champion:
        return f"The gate compared with {subject.champion}, the champion is now {champion}."
    return ""


def _difference(state: State, approval: Approval) -> str:
    attempt = state.cycles.attempt(approval.cycle_ref)
    report = require_pass(attempt)
    release = state.releases.get(candidate_of(attempt).release)
    for name, then, now in (
        ("attempt", approval.attempt, attempt.number),
        ("candidate", approval.release, release.release),
        ("candidate's manifest", approval.manifest_digest, release.manifest_digest),
        ("gate report", approval.gate_digest, gate_of(attempt).digest),
        ("champion", approval.champion, state.routes.champion(approval.workload_id)),
    ):
        if then != now:
            return f"the {name} is now {now}, reviewed was {then}."
    return _changed_subject(state, attempt, report)


@dataclass(frozen=True)
class _Verdict:
    # What a person gave, on what was shown.
    verdict: Literal["approved", "rejected"]
    actor: Actor
    reason: str
    channel: str
    evidence: str | None


def _record(state: State, cycle: Cycle, attempt: Attempt, verdict: _Verdict) -> Approval:
    actor, reason = require_person(verdict.actor.name, verdict.reason, action="A verdict")
    release = state.releases.get(candidate_of(attempt).release)
    with state.transaction():
        standing = state.approvals.granted(cycle.ref)
        if standing is not None:
            state.approvals.void(standing.id, f"replaced by a later verdict of {actor}")
        approval = state.approvals.record(
            workload_id=cycle.workload_id,
            cycle=cycle.name,
            attempt=attempt.number,
            verdict=verdict.verdict,
            actor=actor,
            simulated=actor.startswith(SIMULATED),
            channel=verdict.channel,
            identity=verdict.actor.identity,
            requested_by=shorten(", ".join(requesters(cycle, attempt)), 200, placeholder=", ..."),
            reason=reason,
            release=release.release,
            manifest_digest=release.manifest_digest,
            gate_digest=gate_of(attempt).digest,
            champion=state.routes.champion(cycle.workload_id),
            days=cycle.opened.workload.gates.approval_days,
        )
        state.cycles.set_status(cycle.ref, verdict.verdict, f"{actor}: {reason}")
        shown = {} if verdict.evidence is None else {"evidence": verdict.evidence}
        _audit(state, approval, f"approval.{verdict.verdict}", approval.actor, **shown)
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
    state.audit.append(event, str(approval.cycle_ref), actor, details)
