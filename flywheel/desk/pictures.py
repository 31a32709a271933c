"""`interval_bars` and `look_dots`: coordinates of the small pictures on the pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.usecases.desk.gate_facts import ComparisonLine
from flywheel.usecases.desk.stage_facts import LookLine

__all__ = ["IntervalBar", "LookDot", "interval_bars", "look_dots"]

_WIDTH, _EDGE = 220.0, 6.0
_LOOKS_WIDTH = 640.0


@dataclass(frozen=True)
class IntervalBar:
    """One interval on the scale that a table's rows share; all values are pixels from the left."""

    low: float
    high: float
    value: float
    zero: float
    margin: float
    width: float = _WIDTH


def interval_bars(lines: Sequence[ComparisonLine]) -> list[IntervalBar]:
    """Return a bar for each line; the scale covers every interval, every margin and zero."""
    lowest = min([0.0, *(min(one.lower, -one.margin) for one in lines)])
    highest = max([0.0, *(one.upper for one in lines)])
    span = (highest - lowest) or 1.0

    def place(value: float) -> float:
        return round(_EDGE + (value - lowest) / span * (_WIDTH - 2 * _EDGE), 1)

    return [
        IntervalBar(
            place(one.lower),
            place(one.upper),
            place(one.difference),
            place(0.0),
            place(-one.margin),
        )
        for one in lines
    ]


@dataclass(frozen=True)
class LookDot:
    """One verdict on a line of time; ``x`` is in pixels from the left."""

    x: float
    outcome: str
    title: str


def look_dots(looks: Sequence[LookLine]) -> list[LookDot]:
    """Return the verdicts of a stage on a line from the first to the last."""
    if not looks:
        return []
    start, end = looks[0].at, looks[-1].at
    seconds = (end - start).total_seconds() or 1.0
    inner = _LOOKS_WIDTH - 2 * _EDGE
    return [
        LookDot(
            round(_EDGE + (one.at - start).total_seconds() / seconds * inner, 1),
            one.outcome,
            f"{one.at:%Y-%m-%d %H:%M} {one.outcome}: {one.reason}",
        )
        for one in looks
    ]
