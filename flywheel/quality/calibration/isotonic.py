"""Isotonic curve: any rising shape, at the price of many cases."""

from dataclasses import dataclass

import numpy as np

from flywheel.quality.calibration.log_odds import Floats, chances, log_odds

__all__ = ["PointsCurve", "fit_isotonic"]

_FLOAT_EDGE = 2.0**-53


@dataclass(frozen=True)
class PointsCurve:
    """``points`` are raw confidences and chances; between them run straight lines in log-odds."""

    points: tuple[tuple[float, float], ...]

    def __call__(self, raw: Floats) -> Floats:
        """Return the chances of being right for raw confidences; level beyond the outer points."""
        at, chance = np.array(self.points, dtype=np.float64).T
        ends = log_odds(chance, rarest=_FLOAT_EDGE)
        return chances(np.interp(log_odds(raw), log_odds(at), ends))


def fit_isotonic(raw: Floats, right: Floats) -> PointsCurve:
    """Pool neighbors until accuracy rises with confidence; equal confidences are one point.

    Args:
        raw: confidences in [0, 1].
        right: 1 for a right answer, 0 for a wrong one.

    Source: Zadrozny and Elkan (2002), Transforming classifier scores into accurate multiclass
    probability estimates.
    """
    # Takes a second to load: only where a gate has a thousand cases.
    from scipy.optimize import isotonic_regression

    # Values that the scale cannot distinguish are one point.
    odds, group = np.unique(log_odds(raw), return_inverse=True)
    cases = np.bincount(group).astype(np.float64)
    share = np.bincount(group, weights=right) / cases
    rising = isotonic_regression(share, weights=cases)
    first = rising.blocks[:-1]
    centers = np.add.reduceat(odds * cases, first) / np.add.reduceat(cases, first)
    # No number of cases makes an answer certain.
    least = 1 / (len(raw) + 2)
    levels = np.clip(rising.x[first], least, 1 - least)
    return PointsCurve(tuple(zip(chances(centers).tolist(), levels.tolist(), strict=True)))
