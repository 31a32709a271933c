"""How many items a budget of judgments pays for, and how they are split over the slices."""

from collections.abc import Mapping
from math import floor

__all__ = ["items_for", "overlapped", "split"]

# An overlapped item costs a second judgment, and one more is held back for its adjudication.
_OVERLAP_COST = 2


def overlapped(items: int, overlap: float) -> int:
    """Return how many of ``items`` are judged by two people."""
    return floor(items * overlap + 0.5)


def items_for(budget: int, overlap: float) -> int:
    """Return the largest number of items whose judgments all fit into the budget.

    The adjudication of every overlapped item is paid for in advance, so that a disagreement never
    breaks the budget; what was not needed is there again for the next batch.
    """
    items = max(0, budget)
    while items and items + _OVERLAP_COST * overlapped(items, overlap) > budget:
        items -= 1
    return items


def split(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Split ``total`` by weight into whole numbers, the largest remainders first."""
    whole = sum(weights.values())
    if total <= 0 or whole <= 0:
        return dict.fromkeys(weights, 0)
    exact = {name: total * weight / whole for name, weight in weights.items()}
    parts = {name: floor(value) for name, value in exact.items()}
    by_remainder = sorted(weights, key=lambda name: (parts[name] - exact[name], name))
    for name in by_remainder[: total - sum(parts.values())]:
        parts[name] += 1
    return parts
