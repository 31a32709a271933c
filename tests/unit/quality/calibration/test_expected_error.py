"""The expected calibration error shows a model's, and not that of chance."""

import numpy as np
import pytest

from flywheel.quality.calibration import CalibrationError, expected_calibration_error
from flywheel.quality.calibration.expected_error import _fit_accuracy, bin_numbers


def errors(slope: float, level: float, count: int, repeats: int, seed: int = 3):
    """Return the true mean distance and what so many samples of a model show of it."""
    rng = np.random.default_rng(seed)

    def chance(odds):
        return 1 / (1 + np.exp(-(slope * odds + level)))

    found = []
    for _ in range(repeats):
        odds = rng.normal(1.5, 1.5, count)
        right = rng.random(count) < chance(odds)
        shown = expected_calibration_error((1 / (1 + np.exp(-odds))).tolist(), right.tolist())
        assert shown is not None
        found.append(shown)
    odds = rng.normal(1.5, 1.5, 100_000)
    return float(np.abs(1 / (1 + np.exp(-odds)) - chance(odds)).mean()), found


@pytest.mark.parametrize(("count", "near"), [(30, 0.03), (300, 0.01)])
def test_perfect_model_shows_no_error(count: int, near: float):
    """The mean over samples is about 0 at any size, and the interval holds 0."""
    _, found = errors(1.0, 0.0, count, 40)
    assert np.mean([error.value for error in found]) == pytest.approx(0, abs=near)
    assert np.mean([error.lower == 0 for error in found]) >= 0.9


@pytest.mark.parametrize(("slope", "level"), [(0.5, -0.3), (2.0, 0.5), (1.0, -0.8)])
def test_error_of_a_model_is_seen(slope: float, level: float):
    """What is too sure, not sure enough or too sure throughout shows its error at 300 cases."""
    true, found = errors(slope, level, 300, 30)
    assert np.mean([error.value for error in found]) == pytest.approx(true, abs=0.015)
    assert np.mean([error.lower <= true <= error.upper for error in found]) >= 0.9


def test_wave_is_seen_from_many_cases():
    """Bins that leave every rising curve count as well: most of a wave shows at 3,000 cases."""
    rng = np.random.default_rng(4)
    raw = rng.random(3000)
    chance = np.clip(raw + 0.15 * np.sin(6 * np.pi * raw), 0, 1)
    shown = expected_calibration_error(raw.tolist(), (rng.random(3000) < chance).tolist())
    assert shown is not None
    assert shown.value > 0.7 * np.abs(chance - raw).mean()


def test_certainty_leaves_room_for_what_was_not_seen():
    """Thirty certain answers, all right: no error, and up to three in thirty are possible."""
    shown = expected_calibration_error([1.0] * 30, [True] * 30)
    assert shown == CalibrationError(0.0, 0.0, pytest.approx(3 / 30))
    wrong = expected_calibration_error([1.0] * 30, [False] * 30)
    assert wrong == CalibrationError(1.0, pytest.approx(1 - 3 / 30), 1.0)


def test_interval_by_hand():
    """Of 0.8 said and 12 of 20 right: the distance 0.2, the spread of the verdicts behind it."""
    shown = expected_calibration_error([0.8] * 20, [True] * 12 + [False] * 8)
    reach = 1.96 * np.sqrt(20 * 0.6 * 0.4 + (3 / 1.96) ** 2) / 20
    assert shown is not None
    assert (shown.value, shown.upper) == pytest.approx((0.2, 0.2 + reach))
    assert shown.lower == max(0.0, shown.value - reach)


@pytest.mark.parametrize("good", [64, 66, 75])
def test_bin_is_believed_beyond_two_standard_deviations(monkeypatch, good):
    """A hundred answers of 0.55: less than two deviations off is chance, more is shrunk."""
    monkeypatch.setattr(
        "flywheel.quality.calibration.expected_error.fit_platt", lambda *_: lambda at: at
    )
    gap = good / 100 - 0.55
    squared = (good - 55) ** 2 / (100 * 0.55 * 0.45)
    believed = 1 - 2**2 / squared if squared > 2**2 else 0.0
    right = np.array([1.0] * good + [0.0] * (100 - good))
    fitted = _fit_accuracy(np.full(100, 0.55), right)
    # Another bin stays on the curve.
    assert fitted(np.array([0.55, 0.85])) == pytest.approx([0.55 + believed * gap, 0.85])


def test_few_cases_show_nothing():
    """Below ten cases there is no figure."""
    assert expected_calibration_error([0.9] * 9, [True] * 9) is None
    assert expected_calibration_error([0.9] * 10, [True] * 10) is not None


def test_edges_of_the_bins():
    """0 and 1 lie in the outer bins, an upper edge in the bin that it closes."""
    edges = [0.0, 0.1, 0.3, 0.7, 0.9, 1.0]
    assert bin_numbers(np.array(edges)).tolist() == [0, 0, 2, 6, 8, 9]
    above = np.nextafter(np.array(edges), 1)
    assert bin_numbers(above).tolist() == [0, 1, 3, 7, 9, 9]
