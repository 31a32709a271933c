"""One row of a bench of decisions: a simulated rate or score, beside what it was before."""

from dataclasses import dataclass

__all__ = ["Figure"]


@dataclass(frozen=True)
class Figure:
    """What was measured.

    ``before`` is the figure of the rule that was replaced, from the same simulation where it could
    be run again and else as published in the changelog; ``aim`` is what the rule promises.
    """

    name: str
    before: str
    measured: str
    aim: str
    met: bool
