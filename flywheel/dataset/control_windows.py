"""`FigureWindow`: which figure rests on a control item, and until when.

A control item is not trained on while a figure rests on it, and is released into training once none
does: an answer that people paid for is worth learning from when it measures nothing any more. On
directed items, which were drawn for the second look of a gate, the holdout alone rests. Pure:
who was promoted when, and which rows a calibration was fitted on, is gathered by `build`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flywheel.dataset.examples import Example
from flywheel.io.records import Row

__all__ = [
    "ControlFigure",
    "FigureWindow",
    "control_windows",
    "describe_control",
    "figures_of",
    "released",
]

ControlFigure = Literal["quality", "holdout", "calibration"]

_NEXT_PROMOTION = "the next promotion"


@dataclass(frozen=True)
class FigureWindow:
    """The control items that one figure rests on.

    Attributes:
        figure: ``quality`` is the test for a fall of accuracy since the promotion, ``holdout`` the
            suite of the next gate, ``calibration`` the fit of the champion's confidence.
        until: what ends the window, in words.
        since: event time from which items count, None for all of them. Not read where ids are given.
        inference_ids: the items themselves, for a figure that was fitted on a fixed set.
    """

    figure: ControlFigure
    until: str
    since: datetime | None = None
    inference_ids: AbstractSet[str] | None = None

    def covers(self, example: Example) -> bool:
        """Return whether the figure rests on this item."""
        if example.slice == "directed" and self.figure != "holdout":
            return False
        if self.inference_ids is not None:
            return example.inference_id in self.inference_ids
        if self.since is None:
            return True
        return example.event_time is not None and example.event_time >= self.since


def control_windows(
    *,
    holdout_since: datetime | None,
    quality_since: datetime | None = None,
    champion: str | None = None,
    calibrated_on: AbstractSet[str] = frozenset(),
) -> tuple[FigureWindow, ...]:
    """Return the windows of every figure that rests on control items now.

    Args:
        holdout_since: the last promotion; None before the first one, when every item is held out.
        quality_since: when the champion was promoted; earlier than the last promotion after a
            rollback. None: the last promotion.
        champion: release that answers, None where it is the base model.
        calibrated_on: inference ids of the holdout that the champion's confidence was fitted on.
    """
    windows = [
        FigureWindow("quality", _NEXT_PROMOTION, since=quality_since or holdout_since),
        FigureWindow("holdout", _NEXT_PROMOTION, since=holdout_since),
    ]
    if champion is not None and calibrated_on:
        until = f"another release than {champion} is the champion"
        windows.append(FigureWindow("calibration", until, inference_ids=frozenset(calibrated_on)))
    return tuple(windows)


def figures_of(example: Example, windows: Iterable[FigureWindow]) -> tuple[ControlFigure, ...]:
    """Return the figures that rest on an item; none do on one that was not drawn at random."""
    if not example.measures:
        return ()
    return tuple(window.figure for window in windows if window.covers(example))


def released(example: Example, windows: Iterable[FigureWindow]) -> bool:
    """Return whether this is a control or directed item on which no figure rests any more."""
    return example.measures and not figures_of(example, windows)


def describe_control(
    examples: Sequence[Example], windows: Sequence[FigureWindow], train: Sequence[Example]
) -> Row:
    """Return what a manifest records: every window with its items, and how many items train."""
    resting = Counter(figure for example in examples for figure in figures_of(example, windows))
    return {
        "items": sum(example.measures for example in examples),
        "trained_on": sum(example.measures for example in train),
        "windows": [
            {
                "figure": window.figure,
                "since": window.since and window.since.isoformat(),
                "until": window.until,
                "items": resting[window.figure],
            }
            for window in windows
        ],
    }
