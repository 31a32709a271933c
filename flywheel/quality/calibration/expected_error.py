"""Expected calibration error without the part that chance adds, with its interval."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.quality.calibration.folds import FOLDS, out_of_fold
from flywheel.quality.calibration.log_odds import Floats
from flywheel.quality.calibration.platt import fit_platt

__all__ = ["CalibrationError", "expected_calibration_error"]

_BINS = 10
# A bin is believed where it leaves the curve by more than two standard deviations.
_BELIEVED = 2.0**2
_Z = 1.96
# None wrong of n leaves 3 / n possible, with 95 % confidence.
_RULE_OF_THREE = (3 / _Z) ** 2


@dataclass(frozen=True)
class CalibrationError:
    """Mean distance of confidence from accuracy, and its 95 % interval within [0, 1].

    ``value`` is 0 on average for a model without error, and so falls below 0 as often as not.
    """

    value: float
    lower: float
    upper: float


def expected_calibration_error(
    raw: Sequence[float], right: Sequence[bool]
) -> CalibrationError | None:
    """Estimate the mean distance between confidence and accuracy; None below ten cases.

    The distances that ten bins show are all positive, also those of chance: a perfect model shows
    0.12 at 30 cases. Here other folds say on which side of the accuracy a confidence lies, and the
    case itself by how much, so that chance comes out at 0. Where the side is uncertain the value
    is rather too low: it sees a model that is too sure or not sure enough from few cases, a
    wave around the diagonal from many.

    Args:
        raw: confidences in [0, 1].
        right: whether each answer was the accepted one.

    Source: Berta, Braun, Holzmüller, Bach and Jordan (2026), A variational estimator for Lp
    calibration errors, arXiv:2602.24230; the bins are those of Guo et al. (2017), On calibration
    of modern neural networks.
    """
    if len(raw) < FOLDS:
        return None
    confidence = np.array(raw, dtype=np.float64)
    correct = np.array(right, dtype=np.float64)
    side = np.sign(confidence - out_of_fold(confidence, correct, _fit_accuracy))
    distances = side * (confidence - correct)
    value = float(distances.mean())
    spread = max(
        float(((distances - value) ** 2).sum()), float((confidence * (1 - confidence)).sum())
    )
    reach = _Z * math.sqrt(spread + _RULE_OF_THREE) / len(raw)
    return CalibrationError(value, max(0.0, value - reach), min(1.0, max(0.0, value) + reach))


def bin_numbers(confidence: Floats) -> NDArray[np.intp]:
    """Return the number of the bin, of ten with equal width; an upper edge belongs to its bin."""
    edges = np.arange(1, _BINS) / _BINS
    return np.digitize(confidence, edges, right=True)


def _fit_accuracy(raw: Floats, right: Floats) -> Callable[[Floats], Floats]:
    # Platt's curve, and where a bin plainly leaves it, the bin's own accuracy, shrunk as James and
    # Stein do.
    curve = fit_platt(raw, right)
    chance, bins = curve(raw), bin_numbers(raw)
    count = np.bincount(bins, minlength=_BINS)
    gap = np.bincount(bins, weights=right - chance, minlength=_BINS)
    variance = np.bincount(bins, weights=chance * (1 - chance), minlength=_BINS)
    squared = np.divide(gap**2, variance, out=np.zeros(_BINS), where=count > 0)
    weight = np.maximum(0, 1 - _BELIEVED / np.maximum(squared, _BELIEVED))
    shift = weight * gap / np.maximum(count, 1)
    return lambda at: np.asarray(curve(at) + shift[bin_numbers(at)], dtype=np.float64)
