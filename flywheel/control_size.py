"""`control_items`: how many control items a period needs, so that a fall of accuracy can be seen.

The owner says which fall must be seen (`review.control_drop`), and the size of the control slice
follows. A fall is seen when the signed root of the likelihood ratio between the answers before and
after it passes a limit that holds for a look every day (Siegmund and Venkatraman 1995, Annals of
Statistics 23, 255-271). A third of the period is taken as the time before the fall: one that comes
late in a period is seen in the next one.
"""

from math import ceil, log, sqrt

__all__ = ["FALLS_AFTER", "LEVEL", "LIMIT", "control_items", "smallest_fall"]

# With a look every day, 1 to 5 of 100 streams of constant accuracy pass this limit within 60 days,
# at 1 to 30 judged items a day and an accuracy from 0.7 to 0.97, and one in five within a year
# (bench/decisions/quality.py repeats it).
LIMIT = 3.5
# Accuracy before the fall: the better the model, the fewer items show a fall.
LEVEL = 0.9
# When in a period accuracy falls.
FALLS_AFTER = 1 / 3
_STEPS = 60


def control_items(drop: float, *, level: float = LEVEL) -> int:
    """Return the judged control items that show a fall within their period in three of four cases.

    Args:
        drop: fall of accuracy that must be seen, above 0 and below ``level``.
        level: accuracy before the fall, above 0 and below 1.
    """
    # The statistic grows with the root of the number of items.
    return ceil((LIMIT / _statistic(1.0, drop, level)) ** 2)


def smallest_fall(items: float, *, level: float = LEVEL) -> float:
    """Return the smallest fall that so many items a period show; ``level`` where none is enough."""
    low, high = 0.0, level
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _statistic(items, middle, level) >= LIMIT:
            high = middle
        else:
            low = middle
    return high


def _statistic(items: float, drop: float, level: float) -> float:
    before, after = items * FALLS_AFTER, items * (1 - FALLS_AFTER)
    pooled = level - drop * (1 - FALLS_AFTER)
    ratio = items * _entropy(pooled) - before * _entropy(level) - after * _entropy(level - drop)
    return sqrt(2 * max(ratio, 0.0))


def _entropy(share: float) -> float:
    return -sum(part * log(part) for part in (share, 1 - share) if part > 0)
