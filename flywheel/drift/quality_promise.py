"""`quality_promise`: which fall of accuracy can a workload's sampling see, and by when?

Nothing is measured here: the answer follows from the settings, so that `flywheel init` and
`flywheel doctor` can warn before anybody relies on a trigger that could not fire.
"""

from dataclasses import dataclass

from flywheel.workload.control_size import (
    FALLS_AFTER,
    LEVEL,
    MINIMUM_BEFORE,
    control_items,
    fall_is_seen,
    smallest_fall,
)
from flywheel.workload.model import Workload
from flywheel.workload.periods import Cadence

__all__ = ["QualityPromise", "days_to_see", "quality_promise"]

_DAYS: dict[Cadence, float] = {"monthly": 30.4, "quarterly": 91.3, "yearly": 365.25}
_PERIOD: dict[Cadence, str] = {"monthly": "month", "quarterly": "quarter", "yearly": "year"}
_LONGEST_DAYS = 3_650


@dataclass(frozen=True)
class QualityPromise:
    """What the control slice can show of a fall that begins a third into a period.

    ``smallest`` is the smallest fall from ``level`` that is seen by the end of the period in three
    of four cases, None where none is; ``days`` is how long the fall that counts
    (``drift.quality_drop``) takes to be seen, None where it never is; ``items_needed`` control
    items a period would show it in time, None where no number would.
    """

    level: float
    drop: float
    items: float
    smallest: float | None
    days: int | None
    items_needed: int | None
    period: str

    @property
    def holds(self) -> bool:
        """Return whether the fall that counts is seen within its period."""
        return self.smallest is not None and self.smallest <= self.drop

    @property
    def sentence(self) -> str:
        """Say what can be seen, and what to change where that is less than the settings promise."""
        detectable = (
            "no fall" if self.smallest is None else f"a fall of {self.smallest:.2f} or more"
        )
        text = (
            f"{self.items:.0f} control items a {self.period} (inputs drawn at random, from whose "
            f"review the accuracy in production is measured) show {detectable} by its end, where the "
            f"accuracy is {self.level:.2f}"
        )
        if self.holds:
            return text
        detection = "never seen" if self.days is None else f"seen after {self.days} days"
        needed = "No number of items" if self.items_needed is None else str(self.items_needed)
        return (
            f"{text}; a fall of {self.drop:g} (drift.quality_drop) is {detection}. {needed} a "
            f"{self.period} would show it in time: raise review.budget or the control slice "
            "(review.shares.control or review.control_drop), or raise drift.quality_drop"
        )


def days_to_see(
    drop: float, *, items_before: float, items_a_day: float, level: float
) -> int | None:
    """Return after how many days a fall is seen in three of four cases; None: not in ten years.

    More time does not help where the level before the fall rests on too few items.
    """
    if items_before < MINIMUM_BEFORE or drop > level:
        return None
    for days in range(1, _LONGEST_DAYS + 1):
        after = days * items_a_day
        if fall_is_seen(items_before, after, level, drop):
            return days
    return None


def quality_promise(workload: Workload, *, level: float | None = None) -> QualityPromise:
    """Say what the settings of a workload let its quality trigger see.

    Args:
        workload: budget, share of control items, cadence and the fall that counts.
        level: accuracy in production; by default 0.9 is assumed.
    """
    level = level or LEVEL
    drop = min(workload.drift.quality_drop, level)
    items = workload.review.control_items_a_period
    days = _DAYS[workload.cadence]
    before = items * FALLS_AFTER
    return QualityPromise(
        level=level,
        drop=workload.drift.quality_drop,
        items=items,
        smallest=smallest_fall(before, items - before, level),
        days=days_to_see(drop, items_before=before, items_a_day=items / days, level=level),
        items_needed=control_items(drop, level=level),
        period=_PERIOD[workload.cadence],
    )
