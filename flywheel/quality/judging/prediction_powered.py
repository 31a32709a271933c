"""`powered_accuracy`: accuracy from a few people's judgments and a judge's many verdicts.

Prediction-powered inference (Angelopoulos et al. 2023, Science 382): the judge's mean over many
answers, corrected by how far people and judge differ on the answers that people judged. However
wrong the judge is, the correction has the opposite expectation. How much of the judge enters is a
slope (PPI++, Angelopoulos, Duchi and Zrnic 2023) that was fixed at its calibration: a judge that
knows nothing changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from flywheel.quality.control_slice import effective_size

__all__ = ["FEWEST_JUDGED", "JudgedAnswer", "PoweredAccuracy", "powered_accuracy"]

# Below it the interval is wide, and its normal approximation a guess.
FEWEST_JUDGED = 10


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer drawn at random that people judged, and the judge.

    ``weight`` is one over its inclusion probability; ``score`` is the judge's: 1 correct, 0
    incorrect, a half where it said neither.
    """

    weight: float
    score: float
    right: bool


@dataclass(frozen=True)
class PoweredAccuracy:
    """Accuracy with its interval; ``share_of_judge`` is how much of the judge's mean entered it."""

    accuracy: float
    lower: float
    upper: float
    share_of_judge: float


def powered_accuracy(
    judged: Sequence[JudgedAnswer],
    others: Sequence[tuple[float, float]],
    *,
    slope: float,
    confidence: float = 0.95,
) -> PoweredAccuracy | None:
    """Estimate accuracy; None where too few answers were judged or the judge was not asked.

    Args:
        judged: drawn at random, judged by people and by the judge.
        others: weight and judge's score of further answers drawn at random, none of them in
            ``judged``.
        slope: of people's verdict on the judge's score, from its calibration.
        confidence: of the interval.

    Returns:
        The estimate mean(score of others) times a share of the judge, plus the weighted mean of
        (right - share times score) over what people judged. The interval adds z²/4 answers
        of each kind (right or wrong, approved or not; after Agresti and Min 2005 for pairs), so that
        it is not empty where people and judge never differ; without a judge it is that of Agresti
        and Coull (1998).
    """
    if len(judged) < FEWEST_JUDGED or not others:
        return None
    number = effective_size([one.weight for one in judged])
    many = effective_size([weight for weight, _ in others])
    share = max(0.0, slope) / (1 + number / many)
    mean, variance = _moments(others)
    rests = [(one.weight, one.right - share * one.score) for one in judged]
    rest, spread = _moments(rests)
    accuracy = share * mean + rest
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    added = [right - share * score for right in (1, 0) for score in (1, 0)]
    size, each = number + z * z, z * z / 4
    middle = (number * rest + each * sum(added)) / size
    squares = number * (spread + rest**2) + each * sum(one**2 for one in added)
    half = z * sqrt((squares / size - middle**2) / size + share**2 * variance / many)
    centre = share * mean + middle
    lower, upper = max(0.0, centre - half), min(1.0, centre + half)
    return PoweredAccuracy(min(upper, max(lower, accuracy)), lower, upper, share)


def _moments(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    # Weighted mean and variance.
    total = sum(weight for weight, _ in values)
    mean = sum(weight * value for weight, value in values) / total
    return mean, sum(weight * (value - mean) ** 2 for weight, value in values) / total
