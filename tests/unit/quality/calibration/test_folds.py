"""Folds hold out what they judge, and know nothing of each other's verdicts."""

import numpy as np

from flywheel.quality.calibration.folds import fold_numbers, out_of_fold


def test_folds_are_alike_in_confidence():
    """Each fold has its share of the cases and of the confidences, whatever the cases' order."""
    rng = np.random.default_rng(0)
    raw = np.linspace(0, 1, 205)
    numbers = fold_numbers(raw)
    assert set(np.bincount(numbers)) == {20, 21}
    for fold in range(10):
        assert abs(raw[numbers == fold].mean() - 0.5) < 0.05
    order = rng.permutation(205)
    assert abs(raw[order][fold_numbers(raw[order]) == 0].mean() - 0.5) < 0.05


def test_equal_confidences_are_dealt_by_lot():
    """Right answers before wrong ones of one confidence: folds differ in accuracy as chance has it."""
    right = np.array([1.0] * 500 + [0.0] * 500)
    numbers = fold_numbers(np.full(1000, 0.9))
    shares = np.array([right[numbers == fold].mean() for fold in range(10)])
    assert 0.02 < shares.std() < 0.1


def test_no_case_is_judged_by_itself():
    """A fit that knows the confidences it was given finds none of those that it is asked about."""
    raw = np.linspace(0.1, 0.9, 50)

    def fit(given, _):
        return lambda at: np.isin(at, given).astype(float)

    assert out_of_fold(raw, np.ones(50), fit).sum() == 0
