"""Figures of the decision on gate, by seeded simulation."""

from bench.figure import Figure

__all__ = ["measure"]


def measure() -> list[Figure]:
    """Return no figure yet: this decision is not simulated."""
    return []
