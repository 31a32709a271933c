"""Checks that do not depend on the champion: a minimum accuracy, and a first release that is better.

The first champion is the base model, which may answer nothing right: not being worse is then no
merit, and no label can fall.
"""

from collections.abc import Mapping

from flywheel.artifacts.gate_report import GateCheck, Outcome
from flywheel.evaluate.compare import interval_of
from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.exact_tests import holm_adjusted, lower_tail, number_of_tests
from flywheel.evaluate.non_inferiority import cases_to_decide
from flywheel.quality.intervals import wilson_interval
from flywheel.workload.model import GateRules

__all__ = ["check_absolute", "minimum_verdict"]


def check_absolute(rules: GateRules, evidence: GateEvidence) -> list[GateCheck]:
    """Return the check of the minimum accuracy and, for a first release, what it adds."""
    checks = [_minimum(rules, evidence.together)] if rules.minimum_accuracy > 0 else []
    if evidence.first and rules.first_must_be_better:
        checks.append(_better(rules, evidence.together))
    if evidence.first and rules.minimum_accuracy > 0:
        checks += _broken_labels(rules, evidence.labels)
    return checks


def minimum_verdict(rules: GateRules, lower: float, upper: float) -> tuple[Outcome, str]:
    """Return what an interval shows about the minimum accuracy, and the words for it."""
    if lower >= rules.minimum_accuracy:
        return "pass", "at or above the minimum"
    if upper < rules.minimum_accuracy:
        return "fail", "below the minimum"
    return "inconclusive", "too few cases to decide"


def _minimum(rules: GateRules, pair: PairedAccuracy) -> GateCheck:
    right, cases = pair.candidate_right, pair.cases
    lower, upper = wilson_interval(right / cases, cases, 1 - rules.significance)
    outcome, verdict = minimum_verdict(rules, lower, upper)
    return GateCheck(
        name="minimum_accuracy",
        outcome=outcome,
        value=right / cases,
        limit=rules.minimum_accuracy,
        reason=f"accuracy: {right} of {cases} right [{lower:.1%}, {upper:.1%}], minimum "
        f"{rules.minimum_accuracy:.0%}: {verdict}",
    )


def _better(rules: GateRules, pair: PairedAccuracy) -> GateCheck:
    lower, upper = interval_of(rules, pair.counts)
    outcome: Outcome = "inconclusive"
    more = cases_to_decide(rules, pair, 0.0)
    verdict = "not shown to be better than the base model"
    verdict += "" if more is None else f"; about {more} more cases would show it"
    if lower > 0:
        outcome, verdict = "pass", "better than the base model"
    elif upper < 0:
        outcome, verdict = "fail", "worse than the base model"
    return GateCheck(
        name="better_than_base",
        outcome=outcome,
        value=lower,
        limit=0.0,
        reason=f"first release: {pair.champion_right} → {pair.candidate_right} right of "
        f"{pair.cases} [{lower:+.1%}, {upper:+.1%}]: {verdict}",
    )


def _broken_labels(rules: GateRules, labels: Mapping[str, PairedAccuracy]) -> list[GateCheck]:
    # Exact binomial test of each label against the minimum, corrected for their number.
    smallest = [lower_tail(0, pair.cases, rules.minimum_accuracy) for pair in labels.values()]
    tests = number_of_tests(smallest, rules.significance)
    p_values = {
        label: lower_tail(pair.candidate_right, pair.cases, rules.minimum_accuracy)
        for (label, pair), least in zip(labels.items(), smallest, strict=True)
        if least <= rules.significance / tests
    }
    return [
        GateCheck(
            name=f"label_minimum:{label}",
            outcome="fail",
            value=labels[label].candidate_right / labels[label].cases,
            limit=rules.minimum_accuracy,
            reason=f"{label}: {labels[label].candidate_right} of {labels[label].cases} right, "
            f"shown to be below the minimum of {rules.minimum_accuracy:.0%}",
        )
        for label, p_value in holm_adjusted(p_values, tests).items()
        if p_value <= rules.significance
    ]
