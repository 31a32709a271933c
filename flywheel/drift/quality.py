"""`quality_shift`: has accuracy on the control slice fallen since the promotion? Asked every day.

A control chart over all judged answers since the promotion: for every day on which accuracy could
have changed, a generalized likelihood ratio compares what came before with what came after, and
the largest counts. Its limit is calibrated for a look every day, so that no one has to choose a
window in advance and no item is thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from flywheel.drift.report import QualityShift
from flywheel.quality.control_slice import ControlDay
from flywheel.quality.intervals import wilson_interval
from flywheel.workload.control_size import LIMIT, MINIMUM_AFTER, MINIMUM_BEFORE, fall_ratio

__all__ = ["fall_statistic", "quality_shift"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class _Segments:
    # One side of every possible change: effective number of answers, their share that was right,
    # and how many items were judged.
    size: Vector
    share: Vector
    judged: Vector


def quality_shift(days: Sequence[ControlDay], *, allowed_drop: float) -> QualityShift:
    """Judge whether accuracy fell since the promotion, by ``allowed_drop`` or more and not by chance.

    Args:
        days: what was judged of the answers of each day since the promotion, in order.
        allowed_drop: the smallest fall that counts.

    Returns:
        The most likely change: accuracy before and since, with Newcombe's interval of the
        difference (1998). ``fell`` is None where too little is judged on either side.

    Source: the generalized likelihood ratio chart of Siegmund and Venkatraman (1995), Annals of
    Statistics 23, 255-271, for a level that is itself estimated, on binomial counts.
    """
    before, after = _segments(days)
    statistic = fall_statistic(before.size, before.share, after.size, after.share)
    usable = (before.judged >= MINIMUM_BEFORE) & (after.judged >= MINIMUM_AFTER)
    if not usable.any():
        return _unmeasured(days)
    statistic = np.where(usable, statistic, -np.inf)
    drop = before.share - after.share
    # A small fall that is certain must not hide a larger one.
    large = np.where(drop >= allowed_drop, statistic, -np.inf)
    fell = bool(large.max() >= LIMIT)
    return _shift(days, int(np.argmax(large if fell else statistic)), before, after, fell=fell)


def fall_statistic(
    size_before: Vector | float,
    share_before: Vector | float,
    size_after: Vector | float,
    share_after: Vector | float,
) -> Vector:
    """Return the signed root of the likelihood ratio of a fall: about standard normal without one.

    It is 0 where the share did not fall or one side is empty. Sizes need not be whole.
    """
    sizes = np.asarray(size_before, np.float64), np.asarray(size_after, np.float64)
    shares = np.asarray(share_before, np.float64), np.asarray(share_after, np.float64)
    fell = (shares[0] > shares[1]) & (sizes[0] > 0) & (sizes[1] > 0)
    exposures = np.where(fell, sizes[0], 1.0), np.where(fell, sizes[1], 1.0)
    ratio = fall_ratio(exposures[0], shares[0], exposures[1], shares[1], _entropy)
    return np.where(fell, np.sqrt(2 * np.maximum(ratio, 0.0)), 0.0)


def _entropy(share: Vector) -> Vector:
    inside = np.clip(share, 1e-300, 1.0), np.clip(1 - share, 1e-300, 1.0)
    return np.asarray(-(share * np.log(inside[0]) + (1 - share) * np.log(inside[1])), np.float64)


def _segments(days: Sequence[ControlDay]) -> tuple[_Segments, _Segments]:
    # Both sides of a change before day 1, 2, ... from running sums.
    columns = ("judged", "weight", "squares", "right", "parsed", "failed")
    table = np.array([[getattr(day, name) for name in columns] for day in days], np.float64)
    sums = np.cumsum(table.reshape(len(days), len(columns)), axis=0)
    total = sums[-1] if len(days) else np.zeros(len(columns))
    judged, _, _, _, parsed, _ = total
    rate = judged / parsed if parsed else 0.0
    before = sums[:-1] if len(days) else sums
    return _side(before, rate), _side(total - before, rate)


def _side(sums: Vector, rate: float) -> _Segments:
    judged, weight, squares, right, parsed, failed = sums.T
    # Kish's effective number: unequal weights carry less than their count.
    number = weight**2 / np.where(squares > 0, squares, 1.0)
    # Failed answers are known to be wrong without a judgment. They enter at the rate at which the
    # other answers of their days were judged, as if they had been drawn with them.
    rates = np.where((judged > 0) & (parsed > 0), number / np.maximum(parsed, 1.0), rate)
    wrong = failed * np.minimum(rates, 1.0)
    share = right / np.where(weight > 0, weight, 1.0)
    size = number + wrong
    return _Segments(size, number * share / np.where(size > 0, size, 1.0), judged + wrong)


def _shift(
    days: Sequence[ControlDay], change: int, before: _Segments, after: _Segments, *, fell: bool
) -> QualityShift:
    old, new = float(before.share[change]), float(after.share[change])
    sizes = float(before.size[change]), float(after.size[change])
    old_low, old_high = wilson_interval(old, sizes[0])
    new_low, new_high = wilson_interval(new, sizes[1])
    drop = old - new
    interval = (
        drop - hypot(old - old_low, new_high - new),
        drop + hypot(old_high - old, new - new_low),
    )
    return QualityShift(
        old,
        new,
        sum(day.judged for day in days[: change + 1]),
        sum(day.judged for day in days[change + 1 :]),
        drop,
        interval,
        fell,
        changed_on=days[change + 1].day,
        statistic=float(fall_statistic(sizes[0], old, sizes[1], new)),
        limit=LIMIT,
    )


def _unmeasured(days: Sequence[ControlDay]) -> QualityShift:
    judged = sum(day.judged for day in days)
    weight, right = sum(day.weight for day in days), sum(day.right for day in days)
    level = right / weight if weight else None
    note = (
        f"{judged} control answers of the champion are judged, at least "
        f"{MINIMUM_BEFORE + MINIMUM_AFTER} are needed"
    )
    return QualityShift(level, None, judged, 0, None, None, None, note)
