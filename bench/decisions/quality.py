"""Figures of the quality trigger: false alarms under daily looks, and which fall is seen when."""

import numpy as np
from numpy.typing import NDArray

from bench.figure import Figure
from flywheel.drift.quality import fall_statistic
from flywheel.workload.control_size import LIMIT, MINIMUM_AFTER, MINIMUM_BEFORE, smallest_fall

__all__ = ["quality_figures"]

_STREAMS = 600
_ALLOWED_DROP = 0.05
_FALSE_ALARMS = 0.06
_FALL_ON = 60
# What the rule before compared: the champion's first 28 days with the last 14, each of 20 or more.
_REFERENCE_DAYS, _CURRENT_DAYS, _FEWEST = 28, 14, 20

Vector = NDArray[np.float64]
Seen = NDArray[np.bool_]


def quality_figures() -> list[Figure]:
    """Simulate streams of judged answers, looked at every day."""
    return [*_false_alarms(), *_power(), _promise()]


def _false_alarms() -> list[Figure]:
    rows = []
    for rate in (1, 3, 10, 30):
        worst_before, worst_now = 0.0, 0.0
        for accuracy in (0.7, 0.9, 0.97):
            judged, right = _stream(rate, np.full(102, accuracy), seed=rate)
            worst_before = max(worst_before, float(_fortnight(judged, right).any(axis=1).mean()))
            chart = _chart(judged[:, :60], right[:, :60])
            worst_now = max(worst_now, float(chart.any(axis=1).mean()))
        rows.append(
            Figure(
                f"quality: false alarms in 60 days of daily looks, {rate} judged a day",
                f"{worst_before:.1%}",
                f"{worst_now:.1%}",
                "at most 6 %",
                worst_now <= _FALSE_ALARMS,
            )
        )
    return rows


def _power() -> list[Figure]:
    rows = []
    for after, rate, aim in ((0.85, 1, 0.0), (0.85, 30, 0.9), (0.75, 3, 0.6), (0.75, 10, 0.95)):
        accuracy = np.where(np.arange(2 * _FALL_ON) < _FALL_ON, 0.9, after)
        judged, right = _stream(rate, accuracy, seed=7)
        old = _fortnight(judged, right)[:, _FALL_ON - _REFERENCE_DAYS - _CURRENT_DAYS :]
        before = float(old.any(axis=1).mean())
        one_look = float(old[:, min(_CURRENT_DAYS, old.shape[1] - 1)].mean())
        chart = _chart(judged, right)[:, _FALL_ON:]
        seen = float(chart.any(axis=1).mean())
        first = np.where(chart.any(axis=1), chart.argmax(axis=1), np.inf)
        items = float(np.median(first)) * rate
        when = f", median after {items:.0f} items" if np.isfinite(items) else ""
        rows.append(
            Figure(
                f"quality: fall from 0.90 to {after} seen within 60 days, {rate} judged a day",
                f"{before:.0%} ({one_look:.0%} of one look)",
                f"{seen:.0%}{when}",
                f"at least {aim:.0%}" if aim else "said at init",
                seen >= aim,
            )
        )
    return rows


def _promise() -> Figure:
    drop = smallest_fall(150, 300, 0.9)
    assert drop is not None  # 450 items show something
    judged, right = _stream(5, np.repeat([0.9, 0.9 - drop], [30, 60]), seed=11)
    seen = float(_chart(judged, right)[:, 30:].any(axis=1).mean())
    return Figure(
        f"quality: the smallest fall that 150 + 300 items are said to show ({drop:.2f}) is seen",
        "not said",
        f"{seen:.0%}",
        "65 to 90 %",
        0.65 <= seen <= 0.9,  # noqa: PLR2004 - the aim
    )


def _stream(rate: float, accuracy: Vector, *, seed: int) -> tuple[Vector, Vector]:
    rng = np.random.default_rng(seed)
    judged = rng.poisson(rate, (_STREAMS, len(accuracy)))
    return judged.astype(np.float64), rng.binomial(judged, accuracy).astype(np.float64)


def _chart(judged: Vector, right: Vector) -> Seen:
    # As `quality_shift` does for one stream: at each look, every possible change.
    size, good = judged.cumsum(axis=1), right.cumsum(axis=1)
    alarms = np.zeros(judged.shape, np.bool_)
    for look in range(1, judged.shape[1]):
        before, after = size[:, :look], size[:, look : look + 1] - size[:, :look]
        old = good[:, :look] / np.maximum(before, 1)
        new = (good[:, look : look + 1] - good[:, :look]) / np.maximum(after, 1)
        usable = (
            (before >= MINIMUM_BEFORE) & (after >= MINIMUM_AFTER) & (old - new >= _ALLOWED_DROP)
        )
        passed = usable & (fall_statistic(before, old, after, new) >= LIMIT)
        alarms[:, look] = passed.any(axis=1)
    return alarms


def _fortnight(judged: Vector, right: Vector) -> Seen:
    # The rule before: Newcombe's interval of two fixed spans above 0, and the drop large enough.
    n1, p1 = _span(judged, right, 0, _REFERENCE_DAYS)
    alarms = []
    for end in range(_REFERENCE_DAYS + _CURRENT_DAYS, judged.shape[1] + 1):
        n2, p2 = _span(judged, right, end - _CURRENT_DAYS, end)
        low = (p1 - p2) - np.hypot(p1 - _wilson(p1, n1)[0], _wilson(p2, n2)[1] - p2)
        enough = np.minimum(n1, n2) >= _FEWEST
        alarms.append(enough & (low > 0) & (p1 - p2 >= _ALLOWED_DROP))
    return np.array(alarms).T


def _span(judged: Vector, right: Vector, start: int, end: int) -> tuple[Vector, Vector]:
    size = judged[:, start:end].sum(axis=1)
    return np.maximum(size, 1), right[:, start:end].sum(axis=1) / np.maximum(size, 1)


def _wilson(share: Vector, size: Vector) -> tuple[Vector, Vector]:
    z = 1.959964
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * np.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2)
    return middle - half, middle + half
