"""Platt's curve: the log-odds of being right are a line over the log-odds of the confidence."""

import math
from dataclasses import dataclass

import numpy as np

from flywheel.errors import MeasurementError
from flywheel.quality.calibration.log_odds import Floats, chances, log_odds

__all__ = ["PlattCurve", "fit_platt"]

# The line is expected at the model's own, slope 1 and level 0, with these standard deviations:
# without this, cases that are all alike in confidence would leave it free to run anywhere. Forty
# varied cases outweigh it.
_SLOPE_SPREAD, _LEVEL_SPREAD = 2.0, 3.0
# A falling line would say that surer answers are worse; the order of answers is never turned.
_LEAST_SLOPE = 0.01
_MOST_STEPS = 100
_SMALLEST_STEP = 1e-10
_TOLERANCE = 1e-12
_SUFFICIENT = 1e-4


@dataclass(frozen=True)
class PlattCurve:
    """``slope`` and ``level`` of the line; below 1 the slope tempers a model that is too sure."""

    slope: float
    level: float

    def __call__(self, raw: Floats) -> Floats:
        """Return the chances of being right for raw confidences."""
        return chances(self.slope * log_odds(raw) + self.level)


def fit_platt(raw: Floats, right: Floats) -> PlattCurve:
    """Fit the curve by Newton's method with backtracking; the slope is at least 0.01.

    The targets stand off 0 and 1 as Platt has them, so that there is a finite optimum also where
    all answers are right; the loss is strictly convex, so that there is one only.

    Args:
        raw: confidences in [0, 1].
        right: 1 for a right answer, 0 for a wrong one.

    Source: Platt (1999), Probabilistic outputs for support vector machines; Lin, Lin and Weng
    (2007), A note on Platt's probabilistic outputs for support vector machines, Machine Learning
    68, 267-276, algorithm 1.
    """
    right_count = float(right.sum())
    bad = len(right) - right_count
    target = np.where(right > 0, (right_count + 1) / (right_count + 2), 1 / (bad + 2))
    loss = _Loss(log_odds(raw), target)
    slope, level = _minimize(loss, 0.0, math.log((right_count + 1) / (bad + 1)))
    if slope < _LEAST_SLOPE:
        slope, level = _minimize(loss, _LEAST_SLOPE, level, hold_slope=True)
    return PlattCurve(slope, level)


def _minimize(
    loss: "_Loss", slope: float, level: float, *, hold_slope: bool = False
) -> tuple[float, float]:
    value = loss(slope, level)
    for _ in range(_MOST_STEPS):
        toward_slope, toward_level, decrease = loss.newton(slope, level, hold_slope=hold_slope)
        if decrease < _TOLERANCE:
            return slope, level
        step = 1.0
        while step >= _SMALLEST_STEP:
            ahead = slope + step * toward_slope, level + step * toward_level
            value_ahead = loss(*ahead)
            if value_ahead < value - _SUFFICIENT * step * decrease:
                break
            step /= 2
        else:
            return slope, level  # no float lies lower: this is the optimum
        (slope, level), value = ahead, value_ahead
    raise MeasurementError(
        f"Platt's curve did not settle in {_MOST_STEPS} steps on {len(loss.odds)} cases.",
        next_step="report the confidences and verdicts of these cases: this fit always settles",
    )


@dataclass(frozen=True)
class _Loss:
    # Cross-entropy of the targets and the prior of the line, with the derivatives written out: two
    # parameters are too few for a matrix library, whose threads cost more than the sums.
    odds: Floats
    target: Floats

    def __call__(self, slope: float, level: float) -> float:
        scores = slope * self.odds + level
        fit = np.logaddexp(0, scores) - self.target * scores
        prior = ((slope - 1) / _SLOPE_SPREAD) ** 2 + (level / _LEVEL_SPREAD) ** 2
        return float(fit.sum()) + prior / 2

    def newton(self, slope: float, level: float, *, hold_slope: bool) -> tuple[float, float, float]:
        """Return Newton's step, and by how much the loss falls along it at first."""
        chance = chances(slope * self.odds + level)
        error, weight = chance - self.target, chance * (1 - chance)
        by_slope = float((error * self.odds).sum()) + (slope - 1) / _SLOPE_SPREAD**2
        by_level = float(error.sum()) + level / _LEVEL_SPREAD**2
        weighted = weight * self.odds
        ss = float((weighted * self.odds).sum()) + 1 / _SLOPE_SPREAD**2
        sl = float(weighted.sum())
        ll = float(weight.sum()) + 1 / _LEVEL_SPREAD**2
        if hold_slope:
            return 0.0, -by_level / ll, by_level**2 / ll
        determinant = ss * ll - sl * sl
        toward_slope = (sl * by_level - ll * by_slope) / determinant
        toward_level = (sl * by_slope - ss * by_level) / determinant
        return toward_slope, toward_level, -(by_slope * toward_slope + by_level * toward_level)
