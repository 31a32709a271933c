"""Decides whether a candidate may be shown to a person: pure, from cases to a report.

Golden and holdout cases together decide non-inferiority, at a second look directed cases beside
them; every label that has enough cases has a floor, fixed cases are not lost more often than retraining alone loses them, and some checks do not
depend on the champion. Any failed check fails the gate; failing none, any undecided one leaves it
inconclusive.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from flywheel.artifacts.arm_metrics import ArmMetrics
from flywheel.artifacts.gate_report import (
    Comparison,
    GateCheck,
    GateReport,
    GateSubject,
    NewLabel,
    Outcome,
)
from flywheel.evaluate.absolute import check_absolute
from flywheel.evaluate.compare import compare
from flywheel.evaluate.effect import check_effect
from flywheel.evaluate.evidence import GateEvidence, collect_evidence
from flywheel.evaluate.field_floors import check_fields
from flywheel.evaluate.fixed import check_fixed
from flywheel.evaluate.floors import check_labels
from flywheel.evaluate.metrics import measure
from flywheel.evaluate.non_inferiority import check_non_inferiority
from flywheel.evaluate.second_look import cases_to_collect, first_look_significance
from flywheel.evaluate.suites import CaseResult
from flywheel.evaluate.text_checks import check_texts, compare_texts, unmeasured_rules
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.workload.model import GateRules

__all__ = ["decide_checks", "decide_gate", "overall_outcome"]

Cases = Sequence[CaseResult]
_NO_HOLDOUT = "there is no recent holdout yet: the golden cases stand alone"


def decide_gate(
    rules: GateRules,
    subject: GateSubject,
    cases: Cases,
    *,
    new_label_ids: Collection[str] = (),
    notes: Sequence[str] = (),
    most_to_collect: int | None = None,
    measured_at: datetime,
) -> GateReport:
    """Judge the arm ``candidate`` against the arm ``champion`` over all suites.

    Args:
        rules: the workload's gates.
        subject: what is judged.
        cases: every case of every arm; other arms are summed up and decide nothing.
        new_label_ids: labels that came after the champion was trained: reported by themselves,
            left out of the comparisons.
        most_to_collect: cases that a directed review may ask; None: any number.
        notes: what a reader must know besides, such as an arm that could not be measured.
        measured_at: stamped on the report.

    Raises:
        MeasurementError: there is no golden case, the arms answered different cases, or a time is
            not a number.
    """
    first = subject.champion == BASE_RELEASE
    evidence = collect_evidence(cases, first=first, new_label_ids=new_label_ids)
    checks, more_notes = decide_checks(rules, evidence)
    without_effect = check_effect(cases)
    if without_effect is not None:
        checks.append(without_effect)
    collect = _cases_to_collect(rules, evidence, checks)
    if collect is not None and most_to_collect is not None and collect > most_to_collect:
        more_notes.append(
            f"the {collect} cases are not requested: a whole period's budget pays for "
            f"{most_to_collect} judgments (review.budget)"
        )
        collect = None
    outcome = overall_outcome(checks)
    return GateReport(
        subject=subject,
        # Written out in full, so that a later default does not change what was decided.
        rules=GateRules.model_validate(rules.model_dump()),
        outcome=outcome,
        reasons=tuple(check.reason for check in checks if check.outcome == outcome),
        notes=(*notes, *more_notes),
        checks=tuple(checks),
        comparisons=tuple(_comparisons(rules, evidence)),
        new_labels=_new_labels(cases, new_label_ids),
        arms=_sum_up(cases),
        measured_at=measured_at,
        look=1 if evidence.directed is None else 2,
        cases_to_collect=collect,
        # Written for texts alone, so that other reports read as ever.
        **({} if evidence.texts is None else {"texts": compare_texts(rules, evidence.texts)}),
    )


def decide_checks(rules: GateRules, evidence: GateEvidence) -> tuple[list[GateCheck], list[str]]:
    """Return every check of the gate, and notes on what could not be checked."""
    labels, label_notes = check_labels(rules, evidence)
    fixed, fixed_notes = check_fixed(rules, evidence)
    if evidence.texts is None:
        quality = [*check_non_inferiority(rules, evidence), *check_absolute(rules, evidence)]
    else:
        quality = check_texts(rules, evidence.texts, first=evidence.first)
    checks = [
        *quality,
        *labels,
        *check_fields(rules, evidence),
        *fixed,
        _schema_validity(rules, evidence),
        _latency(rules, evidence),
    ]
    text_notes = [] if evidence.texts is None else unmeasured_rules(evidence.texts)
    holdout_notes = [_NO_HOLDOUT] if evidence.holdout is None else []
    return checks, [*holdout_notes, *text_notes, *label_notes, *fixed_notes]


def overall_outcome(checks: Sequence[GateCheck]) -> Outcome:
    """Return the gate's outcome: one failure fails, one undecided check leaves it undecided."""
    outcomes = {check.outcome for check in checks}
    if "fail" in outcomes:
        return "fail"
    return "inconclusive" if "inconclusive" in outcomes else "pass"


def _cases_to_collect(
    rules: GateRules, evidence: GateEvidence, checks: Sequence[GateCheck]
) -> int | None:
    # More cases help only where nothing else is undecided, and there are two looks at most.
    undecided = [check.name for check in checks if check.outcome == "inconclusive"]
    if evidence.texts is not None:  # a second look is one at accuracies
        return None
    if evidence.directed is not None or undecided != ["non_inferiority"]:
        return None
    if overall_outcome(checks) != "inconclusive":
        return None
    return cases_to_collect(rules, evidence.together.counts)


def _comparisons(rules: GateRules, evidence: GateEvidence) -> list[Comparison]:
    look = first_look_significance(rules)
    suites = [compare(rules, evidence.golden, suite="golden", margin=rules.margin)]
    if evidence.holdout is not None:
        pair, margin = evidence.holdout, rules.holdout_margin
        suites.append(compare(rules, pair, suite="holdout", margin=margin))
    if evidence.directed is not None:
        suites.append(compare(rules, evidence.directed, suite="directed", margin=rules.margin))
    name = "+".join(comparison.suite for comparison in suites)
    every = compare(rules, evidence.together, suite=name, margin=rules.margin, significance=look)
    suites = [every, *suites] if len(suites) > 1 else [every]
    floor = rules.slice_floor
    return suites + [
        compare(rules, pair, suite=suites[0].suite, margin=floor, label=label)
        for label, pair in evidence.labels.items()
        if pair.cases >= rules.slice_minimum
    ]


def _schema_validity(rules: GateRules, evidence: GateEvidence) -> GateCheck:
    share = evidence.valid / evidence.answers
    return GateCheck(
        name="schema_validity",
        outcome="pass" if share >= rules.schema_validity else "fail",
        value=share,
        limit=rules.schema_validity,
        reason=f"schema: {evidence.valid} of {evidence.answers} answers of the candidate are valid",
    )


def _latency(rules: GateRules, evidence: GateEvidence) -> GateCheck:
    ratio, limit = evidence.latency, rules.latency_ratio
    outcome: Outcome
    if ratio is None:
        outcome = "inconclusive"
        words = "no ratio of the arms' times: too few timed answers, or times of zero"
    else:
        outcome = "fail" if ratio.at_least > limit else "pass"
        words = (
            f"{ratio.median:.2f} times the champion's, at least {ratio.at_least:.2f} "
            f"(median and lower end of {ratio.parts} parts), limit {limit:g}"
        )
    return GateCheck(
        name="latency",
        outcome=outcome,
        value=None if ratio is None else ratio.median,
        limit=limit,
        reason=f"latency: {words}",
    )


def _new_labels(cases: Cases, new_label_ids: Collection[str]) -> tuple[NewLabel, ...]:
    groups: dict[tuple[str, str], list[CaseResult]] = {}
    for case in cases:
        if case.arm == "candidate" and case.label_id in new_label_ids:
            groups.setdefault((str(case.label), case.suite), []).append(case)
    return tuple(
        NewLabel(
            label=label,
            suite=suite,
            cases=len(group),
            candidate_right=sum(case.correct for case in group),
        )
        for (label, suite), group in sorted(groups.items())
    )


def _sum_up(cases: Cases) -> tuple[ArmMetrics, ...]:
    groups: dict[tuple[str, str, str], list[CaseResult]] = {}
    for case in cases:
        groups.setdefault((case.suite, case.arm, case.release), []).append(case)
    return tuple(
        measure(group, suite=suite, arm=arm, release=release)
        for (suite, arm, release), group in groups.items()
    )
