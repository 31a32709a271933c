"""`cases_to_collect` and `combined_interval`: how a gate that stayed undecided is decided on more cases, without a larger error.

A gate looks twice at most, and both looks are stated before the first. The first may spend
`FIRST_LOOK_SHARE` of the significance. The second adds up the score of the first cases and that of
the new ones, each with the same weight, whatever their numbers are, and is held to the limit at
which both looks together pass a candidate that is worse by the margin as often as one look would.
Since the weights are fixed, the number of new cases may follow from what the first look showed.

Sources: Lehmacher and Wassmer (1999), Adaptive sample size calculations in group sequential trials,
Biometrics 55, 1286-1290; Lan and DeMets (1983), Discrete sequential boundaries for clinical trials,
Biometrika 70, 659-663.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

from flywheel.evaluate.paired import PairedCounts, cases_for_margin, paired_score
from flywheel.workload.model import GateRules

__all__ = [
    "FEWEST_CASES",
    "FIRST_LOOK_SHARE",
    "cases_to_collect",
    "combined_interval",
    "first_look_significance",
    "second_look_limit",
]

# The first look decides most gates, and keeps nearly all of its power.
FIRST_LOOK_SHARE = 0.8
# With fewer new cases their score is not normally distributed.
FEWEST_CASES = 20
# More than so many times the available cases is not a plan.
_MOST_TIMES = 20
_WEIGHT = math.sqrt(0.5)
_HALVINGS = 60
_STEPS, _LOWEST = 400, -6.0


def first_look_significance(rules: GateRules) -> float:
    """Return the two-sided significance of the first look; all of it where there is no second."""
    return rules.significance * (FIRST_LOOK_SHARE if rules.judgment_days else 1)


@lru_cache(maxsize=64)
def second_look_limit(significance: float) -> float:
    """Return the limit of the combined score at which both looks spend the significance.

    Args:
        significance: of both looks together, two-sided.
    """
    normal = NormalDist()
    first = normal.inv_cdf(1 - FIRST_LOOK_SHARE * significance / 2)
    width = (first - _LOWEST) / _STEPS
    scores = [_LOWEST + (step + 0.5) * width for step in range(_STEPS)]
    chances = [normal.pdf(score) * width for score in scores]

    def passed_late(limit: float) -> float:
        # At the margin: the first score is below its limit, and the combined one above.
        needed = limit / _WEIGHT
        pairs = zip(chances, scores, strict=True)
        return sum(chance * normal.cdf(score - needed) for chance, score in pairs)

    return _crossing(passed_late, (1 - FIRST_LOOK_SHARE) * significance / 2, low=0.0, high=8.0)


def combined_interval(
    first: PairedCounts, second: PairedCounts, *, significance: float
) -> tuple[float, float]:
    """Return the differences that the second look does not rule out.

    Args:
        first: the cases of the first look.
        second: the cases that were collected since.
        significance: of both looks together, two-sided.
    """
    limit = second_look_limit(significance)

    def score(difference: float) -> float:
        return _WEIGHT * (paired_score(first, difference) + paired_score(second, difference))

    lower, upper = (_crossing(score, target, low=-1.0, high=1.0) for target in (limit, -limit))
    return lower, upper


def _crossing(
    falling: Callable[[float], float], target: float, *, low: float, high: float
) -> float:
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if falling(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def cases_to_collect(rules: GateRules, counts: PairedCounts) -> int | None:
    """Return how many new cases let the second look pass, were the difference to stay as it is.

    None: a second look is switched off, more cases would rather show that the candidate is worse,
    or more are needed than anybody would collect.
    """
    if not rules.judgment_days or counts.difference <= -rules.margin:
        return None
    limit = second_look_limit(rules.significance)
    missing = limit / _WEIGHT - paired_score(counts, -rules.margin)
    needed = cases_for_margin(
        max(counts.discordance, 1 / counts.cases),
        rules.margin,
        difference=counts.difference,
        significance=2 * (1 - NormalDist().cdf(max(0.0, missing))),
        power=rules.power,
    )
    if needed is None or needed > _MOST_TIMES * counts.cases:
        return None
    return max(FEWEST_CASES, needed)
