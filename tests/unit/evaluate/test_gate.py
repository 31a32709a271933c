"""The gate's truth table: what passes, what fails, and what nobody can say."""

from dataclasses import replace

import pytest

from flywheel.errors import MeasurementError
from flywheel.evaluate.gate import decide_gate
from flywheel.evaluate.report import GateSubject, parse_report
from flywheel.evaluate.suites import CaseResult
from flywheel.workload import GateRules
from tests.fakes.release_world import START

SUBJECT = GateSubject(
    workload_id="w",
    cycle="2026Q2-1",
    attempt=1,
    candidate="r1",
    champion="base",
    manifest_digest="m",
    dataset_hash="d",
    taxonomy_version=1,
)
RULES = GateRules(margin=0.05, holdout_margin=0.1)


def pairs(both=0, gained=0, lost=0, neither=0, *, suite="golden", labels=("a", "b")):
    """Make the cases of champion and candidate that agree and disagree so often."""
    outcomes = [(True, True)] * both + [(False, True)] * gained
    outcomes += [(True, False)] * lost + [(False, False)] * neither
    cases = []
    for number, correct in enumerate(outcomes):
        label = labels[number % len(labels)]
        for arm, right in zip(("champion", "candidate"), correct, strict=True):
            cases.append(
                CaseResult(
                    suite=suite,
                    arm=arm,
                    release=arm,
                    inference_id=f"{suite}-{'-'.join(labels)}-{number}",
                    label_id=label,
                    label=label,
                    predicted_label=label if right else "other",
                    input="x",
                    expected=label,
                    output=label if right else "other",
                    text="",
                    correct=right,
                    schema_valid=True,
                    confidence=0.9,
                    seconds=0.01,
                )
            )
    return cases


def judge(cases, rules=RULES, **how):
    return decide_gate(rules, SUBJECT, cases, measured_at=START, **how)


@pytest.mark.parametrize(
    ("both", "gained", "lost", "outcome"),
    [
        (200, 60, 5, "pass"),  # clearly better
        (900, 10, 10, "pass"),  # equal on many cases
        (280, 0, 0, "pass"),  # agrees everywhere
        (80, 10, 10, "inconclusive"),  # equal on few cases
        (270, 5, 20, "inconclusive"),  # perhaps worse by more than the margin
        (200, 5, 60, "fail"),  # clearly worse
    ],
)
def test_golden_cases_decide(both, gained, lost, outcome):
    """Only what is shown to be no worse than the margin passes."""
    rules = RULES.model_copy(update={"slice_minimum": 10_000})
    report = judge(pairs(both, gained, lost), rules)
    assert report.outcome == outcome
    assert report.check("golden_non_inferiority").outcome == outcome


def test_inconclusive_says_what_so_many_cases_can_show():
    """The reason names the smallest difference and the number that would do."""
    report = judge(pairs(80, 10, 10), RULES.model_copy(update={"slice_minimum": 1000}))
    comparison = report.comparisons[0]
    assert comparison.detectable is not None
    assert comparison.needed is not None
    assert comparison.needed > 100
    assert f"{comparison.detectable:.1%}" in report.reasons[0]
    assert f"about {comparison.needed} cases" in report.reasons[0]


def test_difference_exactly_at_the_margin_is_not_enough():
    """The lower bound must lie above minus the margin, not on it."""
    cases = pairs(280, 0, 0)
    lower = judge(cases).check("golden_non_inferiority").value
    assert judge(cases, RULES.model_copy(update={"margin": -lower})).outcome == "inconclusive"


def test_holdout_guards_with_its_own_margin():
    """A candidate that wins on golden cases and loses on recent ones fails."""
    golden = pairs(280, 20, 0)
    lost = judge(golden + pairs(30, 0, 30, suite="holdout"))
    assert lost.outcome == "fail"
    assert "holdout" in lost.reasons[0]
    assert judge(golden + pairs(95, 3, 2, suite="holdout")).outcome == "pass"
    few = judge(golden + pairs(10, 1, 1, suite="holdout"))
    assert few.outcome == "inconclusive"


def test_missing_holdout_is_said():
    """Without a holdout the golden cases decide, and the report says so."""
    report = judge(pairs(280, 20, 0))
    assert report.outcome == "pass"
    assert "no recent holdout" in report.notes[0]


def test_slice_that_fell_fails():
    """One label that got clearly worse fails a candidate that is better over all."""
    cases = pairs(200, 60, 0) + pairs(20, 0, 10, labels=("c",))
    report = judge(cases)
    assert report.check("golden_non_inferiority").outcome == "pass"
    assert report.check("slice_floor:c").outcome == "fail"
    assert report.outcome == "fail"


def test_slice_that_may_have_fallen_is_inconclusive():
    """A fall beyond the floor that may be chance is not let through either."""
    report = judge(pairs(200, 60, 0) + pairs(17, 0, 3, labels=("c",)))
    assert report.check("slice_floor:c").outcome == "inconclusive"
    assert report.outcome == "inconclusive"


def test_slice_with_too_few_cases_has_no_floor():
    """Below the minimum a label is not judged by itself."""
    report = judge(pairs(200, 60, 0) + pairs(0, 0, 3, labels=("c",)))
    assert report.outcome == "pass"
    assert "slice_floor:c" not in {check.name for check in report.checks}


def test_must_not_lose_cases_must_stay():
    """More lost cases than the share allows fail, whatever the champion does with them."""
    golden = pairs(280, 20, 0)
    assert judge(golden + pairs(98, 0, 2, suite="must_not_lose")).outcome == "pass"
    report = judge(golden + pairs(97, 0, 3, suite="must_not_lose"))
    assert report.check("must_not_lose").outcome == "fail"


def test_invalid_answers_fail():
    """A candidate that breaks the schema too often fails."""
    cases = pairs(280, 20, 0)
    broken = [
        replace(case, schema_valid=case.arm != "candidate" or number % 50 > 0)
        for number, case in enumerate(cases)
    ]
    report = judge([replace(c, schema_valid=False) if c.arm == "candidate" else c for c in cases])
    assert report.check("schema_validity").value == 0.0
    assert report.outcome == "fail"
    assert judge(broken).check("schema_validity").outcome == "pass"


@pytest.mark.parametrize(("seconds", "outcome"), [(0.014, "pass"), (0.016, "fail")])
def test_latency_is_a_ratio(seconds, outcome):
    """The 95th percentile may be one and a half times the champion's."""
    cases = [
        replace(case, seconds=seconds) if case.arm == "candidate" else case
        for case in pairs(280, 20, 0)
    ]
    assert judge(cases).check("latency").outcome == outcome


def test_latency_of_few_answers_is_inconclusive():
    """Ten answers have no 95th percentile."""
    rules = RULES.model_copy(update={"margin": 0.9})
    report = judge(pairs(8, 2, 0), rules)
    assert report.check("latency").outcome == "inconclusive"
    assert report.check("latency").value is None


def test_new_labels_are_reported_and_not_compared():
    """A label that the champion cannot know decides nothing."""
    known = pairs(280, 20, 0)
    new = pairs(0, 30, 0, 10, labels=("n",))
    report = judge(known + new, new_label_ids={"n"})
    assert report.comparisons[0] == judge(known).comparisons[0]
    assert [(item.label, item.cases, item.candidate_right) for item in report.new_labels] == [
        ("n", 40, 30)
    ]


def test_no_golden_cases_is_an_error():
    """A gate that measured nothing has no outcome."""
    with pytest.raises(MeasurementError, match="no golden cases"):
        judge(pairs(50, 0, 0, suite="holdout"))


def test_arms_on_different_cases_are_an_error():
    """A pair needs both arms."""
    cases = pairs(50, 0, 0)
    with pytest.raises(MeasurementError, match="different cases"):
        judge(cases[:-1])


def test_repeated_case_is_an_error():
    """A case that is there twice would count twice."""
    cases = pairs(50, 0, 0)
    with pytest.raises(MeasurementError, match="twice"):
        judge(cases + cases[:2])


def test_report_survives_its_file():
    """Text and digest come back the same, and a changed text has another digest."""
    report = judge(pairs(280, 20, 0) + pairs(50, 1, 1, suite="holdout"))
    again = parse_report(report.to_json())
    assert again == report
    assert again.digest == report.digest
    assert parse_report(report.to_json().replace("r1", "r2")).digest != report.digest
