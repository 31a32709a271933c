"""`decide_calibration`: does a judge agree with people closely enough for its word to count?

Agreement alone is not enough: where nine answers of ten are right, a judge that approves of
everything agrees in nine of ten. Its informedness must be above zero as well (Youden 1950): how much
more often it approves of right answers than of wrong ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from flywheel.quality.control_slice import effective_size
from flywheel.quality.intervals import wilson_interval

__all__ = ["FEWEST_COMPARED", "Comparison", "JudgeCalibration", "decide_calibration", "score_of"]

FEWEST_COMPARED = 30
_LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """One answer as people and judge saw it; ``approved`` is None where the judge said neither."""

    weight: float
    right: bool
    approved: bool | None

    @property
    def score(self) -> float:
        """The judge's verdict as a number."""
        return score_of(self.approved)


@dataclass(frozen=True)
class JudgeCalibration:
    """What a comparison found, and whether the judge's word counts.

    Figures are None where too few answers were compared. ``informedness`` is the share of right
    answers that the judge approved less that of wrong ones; ``slope`` is that of people's verdict on
    the judge's score.
    """

    calibrated: bool
    reason: str
    judged: int
    unreadable: int
    looks: int
    confidence: float
    agreement: float | None = None
    lower: float | None = None
    upper: float | None = None
    informedness: float | None = None
    informedness_lower: float | None = None
    slope: float | None = None


def score_of(approved: bool | None) -> float:  # noqa: FBT001 - what the judge said
    """Return a judge's verdict as a number: 1, 0, or a half where it said neither."""
    return 0.5 if approved is None else float(approved)


def decide_calibration(
    comparisons: Sequence[Comparison], *, floor: float, looks: int = 1
) -> JudgeCalibration:
    """Compare a judge with people on answers drawn at random.

    Args:
        comparisons: one for each answer; where the judge said neither, it did not agree.
        floor: what the lower end of the agreement's interval must reach.
        looks: comparisons made on this workload while the oldest of them could still count, this one
            included. Of twenty rubrics one agrees by chance: the interval widens with their number
            (Bonferroni).
    """
    confidence = 1 - (1 - _LEVEL) / max(1, looks)
    judged, unreadable = len(comparisons), sum(one.approved is None for one in comparisons)
    if judged < FEWEST_COMPARED:
        reason = (
            f"{judged} answers were compared with people, at least {FEWEST_COMPARED} are needed"
        )
        return JudgeCalibration(False, reason, judged, unreadable, looks, confidence)
    agreed = [(one.weight, float(one.approved == one.right)) for one in comparisons]
    agreement, lower, upper = _share(agreed, confidence)
    gained, gained_lower = _informedness(comparisons, confidence)
    reasons = []
    if lower < floor:
        reasons.append(f"the lower end of its agreement, {lower:.3f}, is below the floor {floor:g}")
    if gained is None or gained_lower is None or gained_lower <= 0:
        reasons.append("it is not shown to tell right answers from wrong ones")
    return JudgeCalibration(
        calibrated=not reasons,
        reason="; ".join(reasons) or f"it agrees with people in {agreement:.3f} of the answers",
        judged=judged,
        unreadable=unreadable,
        looks=looks,
        confidence=confidence,
        agreement=agreement,
        lower=lower,
        upper=upper,
        informedness=gained,
        informedness_lower=gained_lower,
        slope=_slope(comparisons),
    )


def _share(values: Sequence[tuple[float, float]], confidence: float) -> tuple[float, float, float]:
    # As the control slice's own figure: weighted, with Wilson's interval at Kish's number.
    total = sum(weight for weight, _ in values)
    share = sum(weight * value for weight, value in values) / total
    size = effective_size([weight for weight, _ in values])
    return share, *wilson_interval(share, size, confidence)


def _informedness(
    comparisons: Sequence[Comparison], confidence: float
) -> tuple[float | None, float | None]:
    # Newcombe's interval of a difference (1998).
    sides = [
        [(one.weight, float(one.approved is True)) for one in comparisons if one.right is right]
        for right in (True, False)
    ]
    if not all(sides):
        return None, None
    (high, high_lower, _), (low, _, low_upper) = (_share(side, confidence) for side in sides)
    return high - low, high - low - hypot(high - high_lower, low_upper - low)


def _slope(comparisons: Sequence[Comparison]) -> float:
    total = sum(one.weight for one in comparisons)
    right = sum(one.weight * one.right for one in comparisons) / total
    score = sum(one.weight * one.score for one in comparisons) / total
    common = sum(one.weight * (one.right - right) * (one.score - score) for one in comparisons)
    spread = sum(one.weight * (one.score - score) ** 2 for one in comparisons)
    return common / spread if spread else 0.0
