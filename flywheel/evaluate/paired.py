"""Statistics of two arms on the same cases: test, interval, and what a number of cases can show.

``gained`` are the cases that only the candidate has right, ``lost`` those that only the champion
has; the difference is candidate minus champion.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from flywheel.errors import MeasurementError

__all__ = [
    "PairedCounts",
    "cases_for_margin",
    "detectable_difference",
    "mcnemar_exact",
    "needed_cases",
    "paired_score",
    "tango_interval",
]


@dataclass(frozen=True)
class PairedCounts:
    """How often two arms agreed and disagreed."""

    cases: int
    gained: int
    lost: int

    @property
    def difference(self) -> float:
        """Accuracy of the candidate minus accuracy of the champion."""
        if self.cases == 0:
            raise MeasurementError(
                "Two arms cannot be compared on no cases.", next_step="fill the suite"
            )
        return (self.gained - self.lost) / self.cases

    @property
    def discordance(self) -> float:
        """Share of the cases that exactly one arm has right."""
        return (self.gained + self.lost) / self.cases if self.cases else 0.0


def mcnemar_exact(counts: PairedCounts) -> float:
    """Return the two-sided p-value of McNemar's exact conditional test.

    Source: McNemar (1947), Psychometrika 12; the exact form is the binomial test of the smaller
    discordant count against one half.
    """
    total, fewer = counts.gained + counts.lost, min(counts.gained, counts.lost)
    # Whole numbers: exact, and without the second that importing scipy takes.
    tail = sum(math.comb(total, number) for number in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << total))


@lru_cache(maxsize=65536)
def tango_interval(counts: PairedCounts, *, confidence: float) -> tuple[float, float]:
    """Return Tango's score interval of the paired difference of proportions.

    It is the set of differences that the score test does not reject, so that its lower bound
    above minus the margin is the test of non-inferiority.

    Source: Tango (1998), Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design, Statistics in Medicine 17, 891-908; recommended by
    Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33, 2850-2875.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    estimate = counts.difference
    lower = -1.0 if estimate <= -1 else _solve(counts, target=z, low=-1.0, high=estimate)
    upper = 1.0 if estimate >= 1 else _solve(counts, target=-z, low=estimate, high=1.0)
    return lower, upper


def paired_score(counts: PairedCounts, delta: float) -> float:
    """Return Tango's score: about standard normal where the true difference is ``delta``."""
    n, gained, lost = counts.cases, counts.gained, counts.lost
    variance = n * _null_variance(gained / n, lost / n, delta)
    distance = gained - lost - n * delta
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def _null_variance(gained: float, lost: float, delta: float) -> float:
    # Variance of one case's difference where the true difference is delta. The share of lost cases
    # is its constrained maximum-likelihood estimate, the larger root of a quadratic (Tango's
    # equation 12).
    b = -gained - lost + (2 - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    share = (math.sqrt(max(0.0, b * b - 8 * c)) - b) / 4
    return 2 * share + delta * (1 - delta)


def _solve(counts: PairedCounts, *, target: float, low: float, high: float) -> float:
    # The score falls as the difference grows: 60 halvings are more than a float can distinguish.
    for _ in range(60):
        middle = (low + high) / 2
        if paired_score(counts, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def needed_cases(
    discordance: float, difference: float, *, significance: float, power: float
) -> int | None:
    """Return how many cases show a paired difference; None where it cannot be so large.

    For non-inferiority of an equally good candidate, give the margin as the difference.

    Args:
        discordance: share of cases that exactly one arm has right.
        difference: distance in accuracy that is to be shown.
        significance: of the two-sided test.
        power: chance to show it.

    Source: Connor (1987), Sample size for testing differences in proportions for the
    paired-sample design, Biometrics 43, 207-211.
    """
    if difference <= 0 or discordance < difference:
        return None
    alpha = NormalDist().inv_cdf(1 - significance / 2)
    beta = NormalDist().inv_cdf(power)
    spread = alpha * math.sqrt(discordance) + beta * math.sqrt(discordance - difference**2)
    return math.ceil((spread / difference) ** 2)


def cases_for_margin(
    discordance: float,
    margin: float,
    *,
    difference: float = 0.0,
    significance: float,
    power: float,
) -> int | None:
    """Return how many cases show on which side of minus the margin a difference lies; None: none.

    Args:
        discordance: share of cases that exactly one arm has right.
        margin: of non-inferiority.
        difference: true accuracy of the candidate minus the champion's.
        significance: of the two-sided interval.
        power: chance to show it.

    Source: sample size of the score test, Liu, Hsueh, Hsieh and Chen (2002), Tests for equivalence
    or non-inferiority for paired binary data, Statistics in Medicine 21, 231-245.
    """
    distance = abs(difference + margin)
    discordance = max(discordance, abs(difference))
    gained, lost = (discordance + difference) / 2, (discordance - difference) / 2
    if distance == 0 or not 0 < discordance <= 1:
        return None
    alpha = NormalDist().inv_cdf(1 - significance / 2)
    beta = NormalDist().inv_cdf(power)
    spread = alpha * math.sqrt(max(0.0, _null_variance(gained, lost, -margin)))
    spread += beta * math.sqrt(discordance - difference**2)
    return math.ceil((spread / distance) ** 2)


def detectable_difference(
    cases: int, discordance: float, *, significance: float, power: float
) -> float | None:
    """Return the smallest paired difference that this many cases show; None where none does.

    With less than one discordant case expected, one case is assumed: no disagreement seen does
    not mean that none is possible.

    Source: Connor (1987), as in ``needed_cases``, solved for the difference.
    """
    if cases <= 0:
        return None
    discordance = max(discordance, 1 / cases)
    low, high = 0.0, discordance
    if (needed_cases(discordance, high, significance=significance, power=power) or 0) > cases:
        return None
    for _ in range(50):
        middle = (low + high) / 2
        needed = needed_cases(discordance, middle, significance=significance, power=power)
        if needed is None or needed > cases:
            low = middle
        else:
            high = middle
    return high
