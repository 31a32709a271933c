"""`LatencyRatio`: how many times as long as the champion a candidate takes, as far as it is shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from flywheel.errors import MeasurementError

__all__ = ["PART_ANSWERS", "LatencyRatio", "compare_latency"]

PART_ANSWERS = 64
"""Answers that are timed together: one arm's turn."""
_FEWEST_ANSWERS = 20
_SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class LatencyRatio:
    """The candidate's time over the champion's, of ``parts`` turns of both.

    ``median`` is that of the parts; ``at_least`` is the lower end of its one-sided 95 % interval,
    and the smallest part's ratio where there are fewer than five parts.
    """

    median: float
    at_least: float
    parts: int


def compare_latency(champion: Sequence[float], candidate: Sequence[float]) -> LatencyRatio | None:
    """Return how many times as long as the champion the candidate takes; None without a ratio.

    The arms answer by turns, so that the same part of each was measured at about the same time. A
    busy machine makes single parts of either arm slow; a candidate that is slower is slower in
    nearly all of them. The ratio's lower end is an order statistic of the parts, whatever the
    noise's distribution.

    There is no ratio of fewer than twenty answers, nor to a champion that took no measurable time.
    Where neither arm took any, they are equally fast.

    Args:
        champion: seconds of each answer, in the order of measurement.
        candidate: the same.

    Raises:
        MeasurementError: a time is negative or not a number.

    Source: the sign test's interval of a median, Conover (1999), Practical Nonparametric
    Statistics, section 3.2.
    """
    for seconds in [*champion, *candidate]:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise MeasurementError(
                f"An answer took {seconds} seconds.",
                next_step="look at the model server's clock, then run the gate again",
            )
    fewest = min(len(champion), len(candidate))
    if fewest < _FEWEST_ANSWERS:
        return None
    parts = max(1, fewest // PART_ANSWERS)
    ratios = [
        _ratio(_part(champion, number, parts), _part(candidate, number, parts))
        for number in range(parts)
    ]
    measured = sorted(ratio for ratio in ratios if ratio is not None)
    if len(measured) < parts:
        return None
    from scipy.stats import binom

    # How many parts lie below the median is binomial with one half.
    lowest = max(0, int(binom.ppf(_SIGNIFICANCE, parts, 0.5)) - 1)
    return LatencyRatio(median(measured), measured[lowest], parts)


def _part(seconds: Sequence[float], number: int, parts: int) -> Sequence[float]:
    return seconds[len(seconds) * number // parts : len(seconds) * (number + 1) // parts]


def _ratio(champion: Sequence[float], candidate: Sequence[float]) -> float | None:
    old, new = fmean(champion), fmean(candidate)
    if old == 0:
        return 1.0 if new == 0 else None
    return new / old
