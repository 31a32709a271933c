"""`control_items` and `smallest_fall`: control items, and the fall of accuracy that they show.

A fall is seen when the signed root of the likelihood ratio between the answers before and after it
passes a limit that holds for a look every day (Siegmund and Venkatraman 1995, Annals of Statistics
23, 255-271). What follows from it for a number of items is computed here alone, without numpy: a
workload file that names `review.control_drop` is checked when it is loaded.
"""

from collections.abc import Callable
from math import ceil, log, sqrt
from typing import Any

__all__ = [
    "FALLS_AFTER",
    "LEVEL",
    "LIMIT",
    "MINIMUM_AFTER",
    "MINIMUM_BEFORE",
    "control_items",
    "fall_is_seen",
    "fall_ratio",
    "smallest_fall",
]

# With a look every day, 1 to 5 of 100 streams of constant accuracy pass this limit within 60 days,
# at 1 to 30 judged items a day and an accuracy from 0.7 to 0.97, and one in five within a year
# (bench/decisions/quality.py repeats it).
LIMIT = 3.5
# Items judged before and after a possible change: less says nothing about a level.
MINIMUM_BEFORE, MINIMUM_AFTER = 20, 10
# Accuracy before the fall: the better the model, the fewer items show a fall.
LEVEL = 0.9
# When in a period accuracy falls: one that comes late in a period is seen in the next one.
FALLS_AFTER = 1 / 3
_HALVINGS = 60
_MOST_ITEMS = 1e7


def control_items(drop: float, *, level: float = LEVEL) -> int | None:
    """Return the judged control items that show a fall within their period in three of four cases.

    Args:
        drop: fall of accuracy that must be seen, at most ``level``.
        level: accuracy before the fall, above 0 and at most 1.

    Returns:
        A whole number, never less than a verdict needs; None where no number would show it.
    """
    of_one_item = _statistic(FALLS_AFTER, level, 1 - FALLS_AFTER, level - drop)
    # The statistic grows with the root of the number of items.
    items = (LIMIT / of_one_item) ** 2 if of_one_item else float("inf")
    if items > _MOST_ITEMS:
        return None
    return ceil(max(items, MINIMUM_BEFORE / FALLS_AFTER, MINIMUM_AFTER / (1 - FALLS_AFTER)))


def smallest_fall(before: float, after: float, level: float = LEVEL) -> float | None:
    """Return the smallest fall from ``level`` that is seen in about three of four cases.

    Args:
        before: effective number of judged items before the fall.
        after: the same after it, until the moment asked about.
        level: accuracy before, above 0 and at most 1.

    Returns:
        The fall at which the expected statistic reaches the limit of the chart (looked at every
        day, it then passes it in about three of four cases); None where no fall is large enough
        or fewer items are judged than a verdict needs.
    """
    if not 0 < level <= 1 or not fall_is_seen(before, after, level, level):
        return None
    low, high = 0.0, level
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if fall_is_seen(before, after, level, middle):
            high = middle
        else:
            low = middle
    return high


def fall_is_seen(before: float, after: float, level: float, drop: float) -> bool:
    """Return whether so many items before and after a fall show it in about three of four cases."""
    # What `control_items` asks for, halved into parts, may miss a whole number by a rounding.
    enough = before + 1e-9 >= MINIMUM_BEFORE and after + 1e-9 >= MINIMUM_AFTER
    return enough and _statistic(before, level, after, level - drop) >= LIMIT


def fall_ratio(before: Any, old: Any, after: Any, new: Any, entropy: Callable[[Any], Any]) -> Any:
    """Return the log likelihood ratio of two shares against one share of both.

    Args:
        before: number of items on one side, a number or a vector; not both sides may be empty.
        old: the share of them that is right.
        after: number of items on the other side.
        new: the share of them that is right.
        entropy: of a share, in nats.
    """
    total = before + after
    pooled = (before * old + after * new) / total
    return total * entropy(pooled) - before * entropy(old) - after * entropy(new)


def _statistic(before: float, old: float, after: float, new: float) -> float:
    ratio: float = fall_ratio(before, old, after, new, _entropy)
    return sqrt(2 * max(ratio, 0.0))


def _entropy(share: float) -> float:
    return -sum(part * log(part) for part in (share, 1 - share) if part > 0)
