"""Calibrated confidence: how often a release was right when it was so sure, on the control slice.

A model's confidence is the probability that it gives its answer, not the chance that the answer is
right. The two are fitted on judged cases that were never trained on and not chosen by confidence.
The raw number is always kept; the calibrated one is what people are shown and what sampling
compares with the workload's limit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from flywheel.errors import MeasurementError

__all__ = ["Calibration", "calibration_from_facts", "fit_calibration"]

_FEWEST, _MANY = 40, 400
_EDGE = 1e-6
_STEPS = 50
_RIDGE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """From a raw confidence to the chance of being right.

    ``points`` are raw confidences and chances, between which one goes in straight lines on the
    scale of log-odds; ``brier_raw`` and ``brier`` are the mean squared errors before and after, on
    the cases of the fit. With too few cases the method is ``none`` and the raw number stands.
    """

    method: Literal["none", "platt", "isotonic"]
    cases: int
    points: tuple[tuple[float, float], ...]
    brier_raw: float | None
    brier: float | None

    def __call__(self, raw: float) -> float:
        """Return the chance of being right for a raw confidence in [0, 1]."""
        if not self.points:
            return raw
        position = _log_odds(raw)
        before = self.points[0]
        for after in self.points:
            if position <= _log_odds(after[0]):
                return _between(before, after, position)
            before = after
        return before[1]

    def facts(self) -> dict[str, Any]:
        """Return what is kept with the release."""
        return asdict(self)


def calibration_from_facts(facts: Mapping[str, Any]) -> Calibration:
    """Read what ``Calibration.facts`` wrote."""
    points = tuple((float(raw), float(chance)) for raw, chance in facts["points"])
    return Calibration(**{**facts, "points": points})


def fit_calibration(raw: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit a rising curve from confidence to accuracy: Platt's with few cases, steps with many.

    Args:
        raw: confidences in [0, 1].
        right: whether each answer was the accepted one.

    Raises:
        MeasurementError: a confidence is no probability, or the two do not belong together.
    """
    if len(raw) != len(right) or not all(0 <= value <= 1 for value in raw):
        raise MeasurementError(
            f"{len(raw)} confidences do not fit {len(right)} verdicts, or are no probabilities.",
            next_step="look at the model server, then run the gate again",
        )
    if len(raw) < _FEWEST:
        return Calibration("none", len(raw), (), None, None)
    many = len(raw) >= _MANY
    points = _isotonic(raw, right) if many else _platt(raw, right)
    fitted = Calibration("isotonic" if many else "platt", len(raw), points, None, None)
    return Calibration(
        fitted.method,
        fitted.cases,
        fitted.points,
        brier_raw=_brier(raw, right),
        brier=_brier([fitted(value) for value in raw], right),
    )


def _platt(raw: Sequence[float], right: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    # Platt 1999: a logistic curve over the log-odds, with his targets off 0 and 1, by Newton's
    # method; a falling curve would say that surer answers are worse, and is held level.
    good, bad = sum(right), len(right) - sum(right)
    high, low = (good + 1) / (good + 2), 1 / (bad + 2)
    odds = [_log_odds(value) for value in raw]
    slope, level = 1.0, 0.0
    for _ in range(_STEPS):
        gradient_s, gradient_l, ss, sl, ll = _RIDGE * (slope - 1), 0.0, _RIDGE, 0.0, _EDGE
        for x, is_right in zip(odds, right, strict=True):
            chance = _logistic(slope * x + level)
            error, weight = chance - (high if is_right else low), chance * (1 - chance)
            gradient_s += error * x
            gradient_l += error
            ss += weight * x * x
            sl += weight * x
            ll += weight
        determinant = ss * ll - sl * sl
        if determinant < _EDGE * _EDGE:
            break
        slope -= (ll * gradient_s - sl * gradient_l) / determinant
        level -= (ss * gradient_l - sl * gradient_s) / determinant
    if not math.isfinite(slope + level) or slope <= 0:
        share = (good + 1) / (len(right) + 2)
        return ((0.0, share), (1.0, share))
    ends = (_EDGE, 1 - _EDGE)
    return tuple((raw_end, _logistic(slope * _log_odds(raw_end) + level)) for raw_end in ends)


def _isotonic(raw: Sequence[float], right: Sequence[bool]) -> tuple[tuple[float, float], ...]:
    # Pool adjacent violators: neighbours are merged until accuracy rises with confidence.
    pools: list[list[float]] = []  # sum of raw, right, cases
    for value, is_right in sorted(zip(raw, right, strict=True)):
        pools.append([value, float(is_right), 1.0])
        while len(pools) > 1 and pools[-2][1] * pools[-1][2] >= pools[-1][1] * pools[-2][2]:
            last = pools.pop()
            pools[-1] = [one + other for one, other in zip(pools[-1], last, strict=True)]
    # No number of cases makes an answer certain.
    least = 1 / (len(raw) + 2)
    return tuple((total / n, min(1 - least, max(least, good / n))) for total, good, n in pools)


def _between(before: tuple[float, float], after: tuple[float, float], position: float) -> float:
    start, end = _log_odds(before[0]), _log_odds(after[0])
    if end <= start:
        return after[1]
    share = min(1.0, max(0.0, (position - start) / (end - start)))
    low, high = _log_odds(before[1]), _log_odds(after[1])
    return _logistic(low + share * (high - low))


def _brier(chances: Sequence[float], right: Sequence[bool]) -> float:
    return math.fsum((c - r) ** 2 for c, r in zip(chances, right, strict=True)) / len(right)


def _log_odds(chance: float) -> float:
    held = min(1 - _EDGE, max(_EDGE, chance))
    return math.log(held / (1 - held))


def _logistic(odds: float) -> float:
    if odds >= 0:
        return 1 / (1 + math.exp(-odds))
    return math.exp(odds) / (1 + math.exp(odds))
