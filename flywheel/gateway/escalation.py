"""`escalation_reason` and `best_outcome`: whether a request goes on to the next tier, and which answer goes out.

Pure decisions over what each tier did; asking, counting and recording are left to `tier_asking`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flywheel.workload.tiers import EscalationRules

__all__ = ["EscalationReason", "Outcome", "best_outcome", "escalation_reason"]

EscalationReason = Literal[
    "failed", "circuit-open", "invalid-answer", "low-confidence", "unfamiliar-input"
]


@dataclass(frozen=True)
class Outcome:
    """What one attempt came to.

    ``confidence`` is calibrated where judgments allow it, None where the tier reports none;
    ``is_unfamiliar`` says that the input is unlike what the tier was promoted on.
    """

    has_answer: bool
    is_valid: bool = False
    confidence: float | None = None
    is_unfamiliar: bool = False


def escalation_reason(outcome: Outcome, rules: EscalationRules) -> EscalationReason | None:
    """Return why the next tier is asked; None where the answer goes out.

    A valid answer without a confidence passes: nothing speaks against it.
    """
    if not outcome.has_answer:
        return "failed"
    if not outcome.is_valid:
        return "invalid-answer"
    if outcome.confidence is not None and outcome.confidence < rules.below_confidence:
        return "low-confidence"
    return "unfamiliar-input" if outcome.is_unfamiliar else None


def best_outcome(outcomes: Sequence[Outcome]) -> int:
    """Return the place of the attempt whose answer goes out, of attempts in the order of asking.

    The last valid answer: a later tier was asked because an earlier one did not pass, and their
    confidences cannot be compared. Without a valid one the last that is an answer at all; without
    any the last failure.
    """
    valid = [place for place, one in enumerate(outcomes) if one.is_valid]
    answered = [place for place, one in enumerate(outcomes) if one.has_answer]
    return (valid or answered or [len(outcomes) - 1])[-1]
