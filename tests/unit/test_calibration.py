"""Confidence becomes the chance of being right, on cases that were judged."""

import json
import random

import pytest

from flywheel.calibration import calibration_from_facts, fit_calibration
from flywheel.errors import MeasurementError


def overconfident(count: int, seed: int = 1) -> tuple[list[float], list[bool]]:
    """Return answers that say 0.8 to 1 and are right as often as that less 0.3."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    raw = [rng.uniform(0.8, 1.0) for _ in range(count)]
    return raw, [rng.random() < value - 0.3 for value in raw]


@pytest.mark.parametrize(("count", "method"), [(60, "platt"), (399, "platt"), (2000, "isotonic")])
def test_overconfident_model_is_brought_down(count: int, method: str):
    """What is shown is near the accuracy, and its squared error is smaller than the raw one's."""
    raw, right = overconfident(count)
    fitted = fit_calibration(raw, right)
    assert (fitted.method, fitted.cases) == (method, count)
    assert fitted(0.9) == pytest.approx(0.6, abs=0.15)
    assert fitted.brier is not None
    assert fitted.brier_raw is not None
    assert fitted.brier < fitted.brier_raw


@pytest.mark.parametrize("count", [60, 2000])
def test_curve_rises_and_stays_a_probability(count: int):
    """A surer answer is never shown as less sure; the ends are probabilities off 0 and 1."""
    fitted = fit_calibration(*overconfident(count))
    shown = [fitted(step / 100) for step in range(101)]
    assert shown == sorted(shown)
    assert 0 < shown[0] <= shown[-1] < 1


def test_few_cases_leave_the_raw_number():
    """Below forty cases nothing is fitted, and that is said."""
    fitted = fit_calibration([0.9] * 39, [True] * 39)
    assert (fitted.method, fitted(0.37)) == ("none", 0.37)


@pytest.mark.parametrize("right", [True, False])
def test_one_kind_of_case_alone_is_no_certainty(right):
    """Forty right answers do not make the next one certain, nor forty wrong ones hopeless."""
    fitted = fit_calibration([0.5 + number / 100 for number in range(40)], [right] * 40)
    assert 0.0 < fitted(0.7) < 1.0
    assert (fitted(0.7) > 0.9) == right


def test_model_that_is_surer_when_wrong_is_held_level():
    """A falling curve is not believed: every answer gets the overall share."""
    raw = [number / 100 for number in range(100)]
    fitted = fit_calibration(raw, [value < 0.5 for value in raw])
    assert fitted(0.1) == pytest.approx(fitted(0.9))
    assert fitted(0.5) == pytest.approx(0.5, abs=0.05)


def test_good_calibration_is_left_nearly_alone():
    """Confidences that are true already hardly change."""
    rng = random.Random(3)  # noqa: S311 - (as above)
    raw = [rng.random() for _ in range(3000)]
    fitted = fit_calibration(raw, [rng.random() < value for value in raw])
    assert all(fitted(step / 10) == pytest.approx(step / 10, abs=0.08) for step in range(1, 10))


def test_facts_survive_json():
    """What is kept with the release is read back the same."""
    fitted = fit_calibration(*overconfident(500))
    assert calibration_from_facts(json.loads(json.dumps(fitted.facts()))) == fitted


@pytest.mark.parametrize(("raw", "right"), [([1.2] * 50, [True] * 50), ([0.5] * 50, [True] * 49)])
def test_what_is_no_measurement_is_refused(raw: list[float], right: list[bool]):
    """A confidence that is no probability, or a verdict too few, is an error."""
    with pytest.raises(MeasurementError):
        fit_calibration(raw, right)
