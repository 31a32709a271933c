"""The isotonic curve is the weighted one of the pools."""

import numpy as np
import pytest

from flywheel.quality.calibration.isotonic import PointsCurve, fit_isotonic


def test_equal_confidences_are_one_point():
    """A thousand answers that say 1.0 and are right nine times in ten are shown as 0.9."""
    raw = np.array([1.0] * 1000 + [0.5] * 100)
    right = np.array([1.0] * 900 + [0.0] * 100 + [1.0] * 30 + [0.0] * 70)
    for order in (slice(None), slice(None, None, -1)):
        curve = fit_isotonic(raw[order], right[order])
        assert curve(np.array([1.0, 0.5])) == pytest.approx([0.9, 0.3])


def test_pools_by_hand():
    """Three points, of which the second and third turn: they pool at their mean, by weight."""
    raw = np.array([0.2] * 10 + [0.6] * 10 + [0.8] * 30)
    right = np.array([1.0] * 2 + [0.0] * 8 + [1.0] * 9 + [0.0] + [1.0] * 15 + [0.0] * 15)
    curve = fit_isotonic(raw, right)
    (low, high) = curve.points
    assert low == pytest.approx((0.2, 0.2))
    assert high[1] == pytest.approx(24 / 40)
    center = (10 * np.log(0.6 / 0.4) + 30 * np.log(0.8 / 0.2)) / 40
    assert high[0] == pytest.approx(1 / (1 + np.exp(-center)))


def test_no_number_of_cases_makes_certain():
    """Pools that are all right or all wrong stand one case of two more off the ends."""
    raw = np.array([0.1] * 50 + [0.9] * 50)
    curve = fit_isotonic(raw, np.array([0.0] * 50 + [1.0] * 50))
    assert [chance for _, chance in curve.points] == pytest.approx([1 / 102, 101 / 102])


def test_lines_are_straight_in_log_odds():
    """Half way between 0.5 and 0.9 in log-odds lies half the way of the chances' log-odds."""
    curve = PointsCurve(((0.5, 0.5), (0.9, 0.8)))
    middle = 1 / (1 + np.exp(-np.log(9) / 2))
    assert curve(np.array([middle]))[0] == pytest.approx(1 / (1 + np.exp(-np.log(4) / 2)))
    assert curve(np.array([0.1, 0.99])) == pytest.approx([0.5, 0.8])
