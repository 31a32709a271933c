"""Figures of one arm, against scikit-learn where it has them."""

from typing import Any

import numpy as np
import pytest

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.evaluate.metrics import calibration_error, macro_f1, measure, percentile
from flywheel.evaluate.suites import CaseResult


def case(label: str | None = "a", predicted: str | None = "a", **changes: Any) -> CaseResult:
    values: dict[str, Any] = {
        "suite": "golden",
        "arm": "candidate",
        "release": "r",
        "inference_id": "i",
        "label_id": label,
        "label": label,
        "predicted_label": predicted,
        "input": "x",
        "expected": label,
        "output": predicted,
        "text": "",
        "correct": label == predicted,
        "schema_valid": predicted is not None,
        "confidence": 0.9,
        "seconds": 0.1,
    }
    return CaseResult(**(values | changes))


def test_macro_f1_agrees_with_scikit_learn():
    """Labels that are only expected or only answered count as well."""
    from sklearn.metrics import f1_score

    generator = np.random.default_rng(5)
    expected = generator.choice(list("abcd"), 200)
    answered = generator.choice(list("abce"), 200)
    cases = [case(str(e), str(p)) for e, p in zip(expected, answered, strict=True)]
    reference = f1_score(expected, answered, average="macro", zero_division=0)
    assert macro_f1(cases) == pytest.approx(reference)


def test_calibration_error_has_its_interval():
    """Cases without a confidence are left out; of 0.9 said and 10 of 20 right the distance is 0.4."""
    cases = [case(confidence=0.9), case(predicted="b", confidence=0.9)] * 10
    found = measure([*cases, case(confidence=None)], suite="golden", arm="candidate", release="r")
    assert found.calibration_error == pytest.approx(0.4)
    assert found.calibration_interval is not None
    lower, upper = found.calibration_interval
    assert 0 < lower < 0.4 < upper < 1


def test_figures_of_the_first_version_are_read():
    """A report from before the interval is read as it was written."""
    found = measure([case()] * 20, suite="golden", arm="candidate", release="r").model_dump()
    del found["calibration_interval"]
    assert ArmMetrics.model_validate(found).calibration_interval is None


def test_what_is_undefined_is_none():
    """No cases, no labels or no confidence are no zeros."""
    nothing = measure([], suite="golden", arm="candidate", release="r")
    assert nothing.exact_match is None
    assert nothing.macro_f1 is None
    assert nothing.schema_validity is None
    assert nothing.seconds_p95 is None
    assert macro_f1([case(None, None)]) is None
    assert calibration_error([case(confidence=None)] * 20) is None
    assert percentile([], 50) is None


def test_figures_by_label_and_field():
    """A label counts its cases, a field its own rightness."""
    cases = [
        case(fields_correct={"category": True, "urgency": False}, correct=False),
        case(fields_correct={"category": True, "urgency": True}),
        case("b", None, fields_correct={"category": False, "urgency": False}),
    ]
    found = measure(cases, suite="golden", arm="candidate", release="r")
    assert found.exact_match == pytest.approx(1 / 3)
    assert found.schema_validity == pytest.approx(2 / 3)
    assert found.fields == pytest.approx({"category": 2 / 3, "urgency": 1 / 3})
    assert (found.labels["a"].cases, found.labels["a"].accuracy) == (2, 0.5)
    assert (found.labels["b"].accuracy, found.labels["b"].f1) == (0.0, 0.0)


def test_times_are_percentiles():
    """The 95th percentile is interpolated as numpy does it."""
    found = measure(
        [case(seconds=number / 100) for number in range(101)],
        suite="golden",
        arm="candidate",
        release="r",
    )
    assert (found.seconds_p50, found.seconds_p95) == pytest.approx((0.5, 0.95))
