"""`python -m bench decisions`: what each automatic decision gets right, by seeded simulation.

One module per decision, each with ``measure() -> list[Figure]``; `Figure` is one row of the table.
"""

import importlib

from bench.figure import Figure

__all__ = ["figures"]

_DECISIONS: tuple[str, ...] = (
    "calibration",
    "questions",
    "second_judgments",
    "windows",
    "dataset",
    "drift",
    "gate",
)


def figures() -> list[Figure]:
    """Simulate every decision and return its figures, in the order of the loop."""
    return [
        figure
        for name in _DECISIONS
        for figure in importlib.import_module(f"bench.decisions.{name}").measure()
    ]
