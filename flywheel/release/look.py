"""`Look`: what a shadow or canary stage shows at one moment."""

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Look", "LookOutcome"]

LookOutcome = Literal["better", "worse", "equivalent", "go_on", "silent"]


@dataclass(frozen=True)
class Look:
    """Verdict on a stage so far and the figures that it rests on.

    Attributes:
        outcome: of the guard metrics together.
        reason: why, with the figures, as a person reads it.
        answers: pairs of a shadow, answers of the candidate in a canary.
        figures: what is stored and shown, as JSON.
    """

    outcome: LookOutcome
    reason: str
    answers: int
    figures: dict[str, Any] = field(default_factory=dict)
