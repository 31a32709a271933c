"""Figures of one arm on one suite. What is undefined is None, never a number."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from flywheel.evaluate.suites import CaseResult

__all__ = [
    "ArmMetrics",
    "LabelMetrics",
    "expected_calibration_error",
    "macro_f1",
    "measure",
    "percentile",
]

_BINS = 10


class LabelMetrics(BaseModel):
    """One label: how many cases have it, and how many of those are right as a whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: int
    accuracy: float
    f1: float


class ArmMetrics(BaseModel):
    """One arm on one suite; shares are in [0, 1], times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    arm: str
    release: str
    cases: int
    exact_match: float | None
    macro_f1: float | None
    schema_validity: float | None
    calibration_error: float | None
    seconds_p50: float | None
    seconds_p95: float | None
    labels: dict[str, LabelMetrics]
    fields: dict[str, float]


def measure(cases: Sequence[CaseResult], *, suite: str, arm: str, release: str) -> ArmMetrics:
    """Sum up the cases of one arm on one suite."""
    seconds = [case.seconds for case in cases]
    return ArmMetrics(
        suite=suite,
        arm=arm,
        release=release,
        cases=len(cases),
        exact_match=_share([case.correct for case in cases]),
        macro_f1=macro_f1(cases),
        schema_validity=_share([case.schema_valid for case in cases]),
        calibration_error=expected_calibration_error(cases),
        seconds_p50=percentile(seconds, 50),
        seconds_p95=percentile(seconds, 95),
        labels=_labels(cases),
        fields=_fields(cases),
    )


def macro_f1(cases: Sequence[CaseResult]) -> float | None:
    """Average the F1 of every label that was expected or answered; None without labels.

    A case that has no valid answer counts as missed for its label and for no other one.
    """
    scores = _f1_by_label(cases)
    return float(np.mean(list(scores.values()))) if scores else None


def expected_calibration_error(cases: Sequence[CaseResult]) -> float | None:
    """Return the mean gap between confidence and accuracy over ten bins of equal width.

    A bin counts by its number of cases; a confidence on a bin's upper edge belongs to that bin.

    Source: Guo et al. (2017), On Calibration of Modern Neural Networks, equation 3.
    """
    known = [(case.confidence, case.correct) for case in cases if case.confidence is not None]
    if not known:
        return None
    confidence = np.array([value for value, _ in known], dtype=float)
    correct = np.array([right for _, right in known], dtype=float)
    bins = np.clip(np.ceil(confidence * _BINS).astype(int) - 1, 0, _BINS - 1)
    sums = np.bincount(bins, weights=confidence - correct, minlength=_BINS)
    return float(np.abs(sums).sum() / len(known))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile with linear interpolation, None without values."""
    return float(np.percentile(np.array(values, dtype=float), percent)) if values else None


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _f1_by_label(cases: Sequence[CaseResult]) -> dict[str, float]:
    expected = Counter(case.label for case in cases if case.label is not None)
    answered = Counter(case.predicted_label for case in cases if case.predicted_label is not None)
    if not expected:
        return {}
    hits = Counter(
        case.label
        for case in cases
        if case.label is not None and case.label == case.predicted_label
    )
    return {
        label: 2 * hits[label] / (expected[label] + answered[label])
        for label in sorted(expected.keys() | answered.keys())
    }


def _labels(cases: Sequence[CaseResult]) -> dict[str, LabelMetrics]:
    scores = _f1_by_label(cases)
    right = Counter(case.label for case in cases if case.correct)
    counts = Counter(case.label for case in cases if case.label is not None)
    return {
        label: LabelMetrics(cases=count, accuracy=right[label] / count, f1=scores[label])
        for label, count in sorted(counts.items())
    }


def _fields(cases: Sequence[CaseResult]) -> dict[str, float]:
    names = sorted({name for case in cases for name in case.fields_correct})
    shares = {}
    for name in names:
        flags = [case.fields_correct[name] for case in cases if name in case.fields_correct]
        shares[name] = sum(flags) / len(flags)
    return shares
