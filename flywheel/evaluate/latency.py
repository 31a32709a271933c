"""`latency_ratio`: how much slower one arm is at its 95th percentile, whatever one moment brought."""

import math
from collections.abc import Sequence
from statistics import median

from flywheel.errors import MeasurementError
from flywheel.evaluate.metrics import percentile

__all__ = ["latency_ratio"]

_BLOCK_MINIMUM = 20
_MOST_BLOCKS = 5


def latency_ratio(champion: Sequence[float], candidate: Sequence[float]) -> float | None:
    """Return the candidate's 95th percentile over the champion's; None without a ratio.

    The arms answer by turns, so that the same part of each was measured at about the same time:
    the ratio is the median over up to five such parts. One busy moment of the machine spoils one
    of them and not the median; a candidate that is slower is slower in all of them.

    There is no ratio of fewer than twenty answers, nor to a champion that took no measurable time.
    Where neither arm took any, they are equally fast.

    Args:
        champion: seconds of each answer, in the order of measurement.
        candidate: the same.

    Raises:
        MeasurementError: a time is negative or not a number.

    Source: median of means, Nemirovsky and Yudin (1983), Problem Complexity and Method Efficiency
    in Optimization, applied to a percentile.
    """
    for seconds in [*champion, *candidate]:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise MeasurementError(
                f"An answer took {seconds} seconds.",
                next_step="look at the model server's clock, then run the gate again",
            )
    blocks = min(_MOST_BLOCKS, min(len(champion), len(candidate)) // _BLOCK_MINIMUM)
    ratios = [
        _ratio(_block(champion, number, blocks), _block(candidate, number, blocks))
        for number in range(blocks)
    ]
    measured = [ratio for ratio in ratios if ratio is not None]
    return median(measured) if measured and len(measured) == len(ratios) else None


def _block(seconds: Sequence[float], number: int, blocks: int) -> Sequence[float]:
    return seconds[len(seconds) * number // blocks : len(seconds) * (number + 1) // blocks]


def _ratio(champion: Sequence[float], candidate: Sequence[float]) -> float | None:
    old, new = percentile(champion, 95), percentile(candidate, 95)
    if old is None or new is None:
        return None
    if old == 0:
        return 1.0 if new == 0 else None
    return new / old
