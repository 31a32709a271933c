"""Decides whether a candidate may be shown to a person: pure, from cases to a report.

Golden cases decide non-inferiority, the recent holdout guards against a golden set that has grown
old, every label has a floor, cases fixed in earlier cycles must stay fixed. Any failed check fails
the gate; failing none, any undecided one leaves it inconclusive.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from flywheel.errors import MeasurementError
from flywheel.evaluate.compare import compare
from flywheel.evaluate.metrics import ArmMetrics, measure, percentile
from flywheel.evaluate.report import (
    Comparison,
    GateCheck,
    GateReport,
    GateSubject,
    NewLabel,
    Outcome,
)
from flywheel.evaluate.suites import CaseResult
from flywheel.workload import GateRules

__all__ = ["decide_gate"]

Cases = Sequence[CaseResult]
_LATENCY_MINIMUM = 20
_NO_HOLDOUT = "there is no recent holdout yet: the golden cases stand alone"


def decide_gate(
    rules: GateRules,
    subject: GateSubject,
    cases: Cases,
    *,
    new_label_ids: Collection[str] = (),
    notes: Sequence[str] = (),
    measured_at: datetime,
) -> GateReport:
    """Judge the arm ``candidate`` against the arm ``champion`` over all suites.

    Args:
        rules: the workload's gates.
        subject: what is judged.
        cases: every case of every arm; other arms are summed up and decide nothing.
        new_label_ids: labels that came after the champion was trained: reported by themselves,
            left out of the comparisons.
        notes: what a reader must know besides, such as an arm that could not be measured.
        measured_at: stamped on the report.

    Raises:
        MeasurementError: there is no golden case, or the arms answered different cases.
    """
    comparable = [case for case in cases if case.label_id not in set(new_label_ids)]
    golden = _compare_suite(rules, comparable, "golden", rules.margin)
    holdout = _compare_suite(rules, comparable, "holdout", rules.holdout_margin)
    if golden is None:
        raise MeasurementError(
            "There are no golden cases: nothing can be judged.",
            next_step="collect accepted corrections, then build the dataset again",
        )
    slices = _compare_slices(rules, comparable)
    checks = [
        _non_inferiority("golden", golden),
        *([_non_inferiority("holdout", holdout)] if holdout else []),
        *_slice_floors(rules, slices),
        *_must_not_lose(rules, cases),
        _schema_validity(rules, cases),
        _latency(rules, cases),
    ]
    outcome = _overall(checks)
    return GateReport(
        subject=subject,
        rules=rules,
        outcome=outcome,
        reasons=tuple(check.reason for check in checks if check.outcome == outcome),
        notes=tuple(notes) if holdout else (*notes, _NO_HOLDOUT),
        checks=tuple(checks),
        comparisons=tuple(item for item in (golden, holdout, *slices) if item is not None),
        new_labels=_new_labels(cases, new_label_ids),
        arms=_sum_up(cases),
        measured_at=measured_at,
    )


def _compare_suite(rules: GateRules, cases: Cases, suite: str, margin: float) -> Comparison | None:
    champion, candidate = _arm(cases, suite, "champion"), _arm(cases, suite, "candidate")
    if not champion and not candidate:
        return None
    return compare(rules, champion, candidate, suite=suite, margin=margin)


def _compare_slices(rules: GateRules, cases: Cases) -> list[Comparison]:
    champion, candidate = _arm(cases, "golden", "champion"), _arm(cases, "golden", "candidate")
    found = []
    for label in sorted({case.label for case in champion if case.label is not None}):
        old = [case for case in champion if case.label == label]
        new = [case for case in candidate if case.label == label]
        if len(old) >= rules.slice_minimum:
            floor = rules.slice_floor
            found.append(compare(rules, old, new, suite="golden", margin=floor, label=label))
    return found


def _non_inferiority(name: str, found: Comparison) -> GateCheck:
    told = (
        f"{name}: {found.difference:+.1%} on {found.cases} cases "
        f"[{found.lower:+.1%}, {found.upper:+.1%}], margin -{found.margin:.1%}"
    )
    outcome: Outcome
    if found.lower > -found.margin:
        outcome, verdict = "pass", "not worse than the champion by more than the margin"
    elif found.upper < -found.margin:
        outcome, verdict = "fail", "worse than the champion by more than the margin"
    else:
        shows = "none" if found.detectable is None else f"{found.detectable:.1%}"
        outcome = "inconclusive"
        verdict = f"too few cases to tell; the smallest difference they show is {shows}"
        verdict += "" if found.needed is None else f", about {found.needed} cases show the margin"
    reason = f"{told}: {verdict}"
    return GateCheck(
        name=f"{name}_non_inferiority",
        outcome=outcome,
        value=found.lower,
        limit=-found.margin,
        reason=reason,
    )


def _slice_floors(rules: GateRules, slices: Sequence[Comparison]) -> list[GateCheck]:
    # A fall beyond the floor is a failure when the interval leaves out chance; on few cases it may
    # be chance, and then nobody knows.
    checks = []
    for found in slices:
        outcome: Outcome = "pass"
        verdict = "within the floor"
        if found.difference < -rules.slice_floor:
            shown = found.upper < 0
            outcome = "fail" if shown else "inconclusive"
            verdict = "fell beyond the floor" + ("" if shown else "; it may be chance")
        checks.append(
            GateCheck(
                name=f"slice_floor:{found.label}",
                outcome=outcome,
                value=found.difference,
                limit=-rules.slice_floor,
                reason=f"{found.label}: {found.champion_right} → {found.candidate_right} right of "
                f"{found.cases}: {verdict}",
            )
        )
    return checks


def _must_not_lose(rules: GateRules, cases: Cases) -> list[GateCheck]:
    suite = _arm(cases, "must_not_lose", "candidate")
    if not suite:
        return []
    right = sum(case.correct for case in suite)
    share = right / len(suite)
    return [
        GateCheck(
            name="must_not_lose",
            outcome="pass" if share >= rules.must_not_lose else "fail",
            value=share,
            limit=rules.must_not_lose,
            reason=f"must-not-lose: {right} of {len(suite)} cases fixed earlier are still right",
        )
    ]


def _schema_validity(rules: GateRules, cases: Cases) -> GateCheck:
    answered = [case for case in cases if case.arm == "candidate"]
    valid = sum(case.schema_valid for case in answered)
    share = valid / len(answered)
    return GateCheck(
        name="schema_validity",
        outcome="pass" if share >= rules.schema_validity else "fail",
        value=share,
        limit=rules.schema_validity,
        reason=f"schema: {valid} of {len(answered)} answers of the candidate are valid",
    )


def _latency(rules: GateRules, cases: Cases) -> GateCheck:
    measured = {
        arm: [case.seconds for case in cases if case.arm == arm]
        for arm in ("champion", "candidate")
    }
    old, new = percentile(measured["champion"], 95), percentile(measured["candidate"], 95)
    if not old or new is None or len(measured["candidate"]) < _LATENCY_MINIMUM:
        return GateCheck(
            name="latency",
            outcome="inconclusive",
            value=None,
            limit=rules.latency_ratio,
            reason="latency: too few timed answers for a 95th percentile",
        )
    ratio = new / old
    return GateCheck(
        name="latency",
        outcome="pass" if ratio <= rules.latency_ratio else "fail",
        value=ratio,
        limit=rules.latency_ratio,
        reason=f"latency: p95 {new * 1000:.1f} ms, {ratio:.2f} times the champion's",
    )


def _overall(checks: Sequence[GateCheck]) -> Outcome:
    outcomes = {check.outcome for check in checks}
    if "fail" in outcomes:
        return "fail"
    return "inconclusive" if "inconclusive" in outcomes else "pass"


def _new_labels(cases: Cases, new_label_ids: Collection[str]) -> tuple[NewLabel, ...]:
    groups: dict[tuple[str, str], list[CaseResult]] = {}
    for case in cases:
        if case.arm == "candidate" and case.label_id in new_label_ids:
            groups.setdefault((str(case.label), case.suite), []).append(case)
    return tuple(
        NewLabel(
            label=label,
            suite=suite,
            cases=len(found),
            candidate_right=sum(case.correct for case in found),
        )
        for (label, suite), found in sorted(groups.items())
    )


def _sum_up(cases: Cases) -> tuple[ArmMetrics, ...]:
    groups: dict[tuple[str, str, str], list[CaseResult]] = {}
    for case in cases:
        groups.setdefault((case.suite, case.arm, case.release), []).append(case)
    return tuple(
        measure(found, suite=suite, arm=arm, release=release)
        for (suite, arm, release), found in groups.items()
    )


def _arm(cases: Cases, suite: str, arm: str) -> list[CaseResult]:
    return [case for case in cases if case.suite == suite and case.arm == arm]
