"""`read_gate`, `approve_candidate` and `reject_candidate`: the evidence on a candidate, and a verdict."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.usecases.identity import require_identity

if TYPE_CHECKING:
    from flywheel.artifacts.gate_report import GateReport
    from flywheel.release.four_eyes import Actor
    from flywheel.state import Approval
    from flywheel.wiring import Platform

__all__ = ["GateReading", "approve_candidate", "read_gate", "reject_candidate"]


@dataclass(frozen=True)
class GateReading:
    """A gate report whose file still has the digest that was recorded; ``text`` is its JSON."""

    text: str
    report: "GateReport"


def read_gate(platform: "Platform", cycle: CycleRef) -> GateReading:
    """Read the gate report of a cycle's present attempt.

    Raises:
        RefusedError: the gate was not run.
        IntegrityError: the file is missing or was changed.
    """
    from flywheel.release.evidence import gate_of

    reference = gate_of(platform.state.cycles.attempt(cycle))
    return GateReading(reference.read_text(), reference.read())


def approve_candidate(
    platform: "Platform",
    cycle: CycleRef,
    *,
    actor: "str | Actor",
    reason: str,
    channel: str = "cli",
    evidence: str | None = None,
) -> "Approval":
    """Let a candidate through to promotion.

    Args:
        platform: holds the cycle and its evidence.
        cycle: whose candidate it is.
        actor: who approves; a plain name is taken on trust, which is refused where people are
            registered. One that starts with ``simulated:`` is marked as simulated.
        reason: why, in a sentence.
        channel: how the person came in.
        evidence: digest of the page that the person read, for the audit.

    Raises:
        RefusedError: the cycle is not up for review, its gate did not pass, the champion changed
            since, the approver is who asked for the cycle, or the reason is empty.
        IntegrityError: the gate report or the adapter was changed.
    """
    from flywheel.release.approval import approve

    person = require_identity(platform, actor)
    return approve(
        platform.state, cycle, actor=person, reason=reason, channel=channel, evidence=evidence
    )


def reject_candidate(
    platform: "Platform",
    cycle: CycleRef,
    *,
    actor: "str | Actor",
    reason: str,
    channel: str = "cli",
    evidence: str | None = None,
) -> "Approval":
    """Close a cycle without promotion; the one who asked for it may do so.

    Raises:
        RefusedError: the cycle is not up for review, or the reason is empty.
    """
    from flywheel.release.approval import reject

    person = require_identity(platform, actor)
    return reject(
        platform.state, cycle, actor=person, reason=reason, channel=channel, evidence=evidence
    )
