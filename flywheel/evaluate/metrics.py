"""Figures of one arm on one suite. What is undefined is None, never a number."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from flywheel.artifacts.arm_metrics import ArmMetrics, LabelMetrics, RuleFigure, TextFigures
from flywheel.evaluate.field_scores import average_fields, score_fields
from flywheel.evaluate.suites import CaseResult
from flywheel.evaluate.text_evidence import count_rules
from flywheel.quality.calibration import CalibrationError, expected_calibration_error

__all__ = [
    "calibration_error",
    "macro_f1",
    "measure",
    "measure_texts",
    "percentile",
]


def measure(cases: Sequence[CaseResult], *, suite: str, arm: str, release: str) -> ArmMetrics:
    """Sum up the cases of one arm on one suite."""
    seconds = [case.seconds for case in cases]
    error = calibration_error(cases)
    text = measure_texts(cases)
    fields = score_fields(case.field_counts for case in cases)
    return ArmMetrics(
        suite=suite,
        arm=arm,
        release=release,
        cases=len(cases),
        exact_match=_share([case.correct for case in cases]),
        macro_f1=macro_f1(cases),
        schema_validity=_share([case.schema_valid for case in cases]),
        calibration_error=None if error is None else error.value,
        calibration_interval=None if error is None else (error.lower, error.upper),
        seconds_p50=percentile(seconds, 50),
        seconds_p95=percentile(seconds, 95),
        labels=_labels(cases),
        fields=_fields(cases),
        field_scores=fields,
        field_averages=average_fields(fields),
        # Written for texts alone, so that other reports read as ever.
        **({} if text is None else {"text": text}),
    )


def measure_texts(cases: Sequence[CaseResult]) -> TextFigures | None:
    """Sum up the texts of one arm on one suite; None where the answers are no texts."""
    scores = [case.scores for case in cases if case.scores is not None]
    if not scores:
        return None
    all_kept = [all(rule.problem is None for rule in case.rules) for case in cases if case.rules]
    return TextFigures(
        edit_rate=fmean(score.edited for score in scores),
        edit_distance=fmean(1 - score.edit_similarity for score in scores),
        chrf=fmean(score.chrf for score in scores),
        sentence_similarity=fmean(score.sentence_vectors for score in scores),
        rules={
            name: RuleFigure(cases=counts.cases, kept=counts.kept / counts.cases)
            for name, counts in count_rules(cases).items()
        },
        all_rules=fmean(all_kept) if all_kept else None,
    )


def macro_f1(cases: Sequence[CaseResult]) -> float | None:
    """Average the F1 of every label that was expected or answered; None without labels.

    A case that has no valid answer counts as missed for its label and for no other one.
    """
    scores = _f1_by_label(cases)
    return float(np.mean(list(scores.values()))) if scores else None


def calibration_error(cases: Sequence[CaseResult]) -> CalibrationError | None:
    """Return how far confidence is from accuracy; None where too few cases have a confidence."""
    sure = [(case.confidence, case.correct) for case in cases if case.confidence is not None]
    return expected_calibration_error(
        [confidence for confidence, _ in sure], [correct for _, correct in sure]
    )


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
