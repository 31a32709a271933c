"""Calibrated confidence: how often a release was right when it was so sure, on the control slice.

A model's confidence is the probability that it gives its answer, not the chance that the answer is
right. `fit_calibration` fits the second to the first on judged cases that were never trained on and
not chosen by confidence, and leaves the raw number where no fit beats it on cases of which it knows
nothing. `expected_calibration_error` says how far the raw number is off.
"""

from flywheel.quality.calibration.calibration import (
    Calibration,
    calibration_from_facts,
    fit_calibration,
)
from flywheel.quality.calibration.expected_error import CalibrationError, expected_calibration_error

__all__ = [
    "Calibration",
    "CalibrationError",
    "calibration_from_facts",
    "expected_calibration_error",
    "fit_calibration",
]
