"""The gate's truth table: what passes, what fails, and what nobody can say."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from flywheel.artifacts.gate_report import GateSubject, parse_report
from flywheel.errors import MeasurementError
from flywheel.evaluate.gate import decide_gate
from flywheel.evaluate.suites import CaseResult
from flywheel.workload.model import GateRules
from tests.fakes.release_world import START

SUBJECT = GateSubject(
    workload_id="w",
    cycle="2026Q2-1",
    attempt=1,
    candidate="r1",
    champion="r0",
    manifest_digest="m",
    dataset_hash="d",
    taxonomy_version=1,
)
RULES = GateRules()
FIRST = SUBJECT.model_copy(update={"champion": "base"})


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


def judge(cases, rules=RULES, subject=SUBJECT, **how):
    return decide_gate(rules, subject, cases, measured_at=START, **how)


def with_rules(**changes):
    return RULES.model_copy(update=changes)


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
    report = judge(pairs(both, gained, lost), with_rules(slice_floor=1.0))
    assert report.outcome == outcome
    assert report.check("non_inferiority").outcome == outcome


def test_inconclusive_says_how_many_more_cases_would_decide():
    """The reason names a number and how to collect it, and so many more cases do decide."""
    first = pairs(80, 10, 10)
    report = judge(first)
    (reason,) = report.reasons
    assert report.look == 1
    more = int(re.search(r"(\d+) more cases", reason).group(1))
    assert more == report.cases_to_collect
    assert 700 < more < 1300
    assert "directed review" in reason
    tenth = more // 10
    directed = pairs(more - 2 * tenth, tenth, tenth, suite="directed")
    second = judge([*first, *directed])
    assert (second.outcome, second.look, second.cases_to_collect) == ("pass", 2, None)
    suites = [row.suite for row in second.comparisons if row.label is None]
    assert suites == ["golden+directed", "golden", "directed"]


def test_cases_beyond_a_budget_are_not_waited_for():
    """What no period can pay for is said, and asked of nobody."""
    report = judge(pairs(80, 10, 10), most_to_collect=400)
    assert (report.outcome, report.cases_to_collect) == ("inconclusive", None)
    assert "a whole period's budget pays for 400" in report.notes[-1]
    needed = judge(pairs(80, 10, 10)).cases_to_collect
    assert judge(pairs(80, 10, 10), most_to_collect=needed).cases_to_collect == needed
    assert judge(pairs(80, 10, 10), most_to_collect=needed - 1).cases_to_collect is None


def test_no_second_look_asks_for_control_items():
    """Where a second look is switched off, the next attempt is what more cases help."""
    report = judge(pairs(80, 10, 10), with_rules(judgment_days=0))
    assert report.cases_to_collect is None
    assert "control items" in report.reasons[0]


def test_other_undecided_checks_ask_for_no_directed_review():
    """A first look that is undecided for a second reason is not saved by these cases alone."""
    report = judge(pairs(80, 10, 10), with_rules(minimum_accuracy=0.88))
    assert report.outcome == "inconclusive"
    assert report.cases_to_collect is None


def test_a_failed_gate_asks_for_no_directed_review():
    """What is undecided beside a failure is not collected for: the gate fails either way."""
    cases = pairs(80, 10, 10)
    broken = [replace(c, schema_valid=False) if c.arm == "candidate" else c for c in cases]
    report = judge(broken)
    assert report.check("non_inferiority").outcome == "inconclusive"
    assert (report.outcome, report.cases_to_collect) == ("fail", None)


def test_a_difference_on_the_margin_asks_for_no_more_cases():
    """Where the difference is the margin itself, no number of cases decides."""
    reason = judge(pairs(375, 0, 20, 5)).check("non_inferiority").reason
    assert "train another candidate" in reason
    assert "more cases would" not in reason


def test_difference_exactly_at_the_margin_is_not_enough():
    """The lower bound must lie above minus the margin, not on it."""
    cases = pairs(280, 0, 0)
    lower = judge(cases).check("non_inferiority").value
    assert judge(cases, with_rules(margin=-lower)).outcome == "inconclusive"
    assert judge(cases, with_rules(margin=-lower + 1e-9)).outcome == "pass"


def test_upper_bound_on_the_margin_is_not_yet_a_failure():
    """The upper bound must lie below minus the margin to fail, not on it."""
    cases = pairs(200, 5, 60)
    report = judge(cases, with_rules(slice_floor=1.0))
    upper = report.comparisons[0].upper
    for margin, outcome in ((-upper, "inconclusive"), (-upper - 1e-9, "fail")):
        rules = with_rules(slice_floor=1.0, margin=margin)
        assert judge(cases, rules).check("non_inferiority").outcome == outcome


@pytest.mark.parametrize(
    ("lost", "margin", "outcome"),
    [
        (0, 0.0, "inconclusive"),  # an equal candidate is not shown to be better
        (30, 0.0, "fail"),
        (280, 1.0, "pass"),  # nothing is worse by more than everything
    ],
)
def test_margin_of_nothing_and_of_everything(lost, margin, outcome):
    """A margin of 0 asks for a better candidate, a margin of 1 for nothing."""
    rules = with_rules(margin=margin, slice_floor=1.0, minimum_accuracy=0.0)
    check = judge(pairs(280 - lost, 0, lost), rules).check("non_inferiority")
    assert check.outcome == outcome
    better = judge(pairs(250, 30, 0), rules)
    assert better.check("non_inferiority").outcome == "pass"


def test_holdout_counts_with_the_golden_cases():
    """A few tied recent cases do not block what passes without them; many can decide."""
    golden = pairs(280, 20, 0)
    for both in (1, 5, 30):
        report = judge(golden + pairs(both, 0, 0, suite="holdout"))
        assert report.outcome == "pass"
        assert report.comparisons[0].suite == "golden+holdout"
        assert report.comparisons[0].cases == 300 + both
    undecided = pairs(180, 10, 10)
    assert judge(undecided).outcome == "inconclusive"
    assert judge(undecided + pairs(490, 5, 5, suite="holdout")).outcome == "pass"


def test_holdout_stops_what_is_worse_on_recent_cases():
    """A candidate that wins on golden cases and loses on recent ones fails."""
    golden = pairs(240, 60, 0)
    report = judge(golden + pairs(30, 0, 30, suite="holdout"), with_rules(slice_floor=1.0))
    assert report.check("non_inferiority").outcome == "pass"
    guard = report.check("holdout")
    assert (guard.outcome, guard.limit) == ("fail", -RULES.holdout_margin)
    assert "worse on recent cases by more than" in guard.reason
    assert report.check("non_inferiority").limit == -RULES.margin
    assert report.outcome == "fail"
    equal = judge(golden + pairs(60, suite="holdout")).check("holdout")
    assert "not shown to be worse by more than" in equal.reason


def test_holdout_margin_itself_is_not_exceeded():
    """The upper bound must lie below minus the holdout's margin, not on it."""
    cases = pairs(240, 60, 0) + pairs(30, 0, 30, suite="holdout")
    upper = judge(cases, with_rules(slice_floor=1.0)).check("holdout").value
    for margin, outcome in ((-upper, "pass"), (-upper - 1e-9, "fail")):
        rules = with_rules(slice_floor=1.0, holdout_margin=margin)
        assert judge(cases, rules).check("holdout").outcome == outcome


def test_missing_holdout_is_noted():
    """Without a holdout the golden cases decide, and the report says so."""
    report = judge(pairs(280, 20, 0))
    assert report.outcome == "pass"
    assert "no recent holdout" in report.notes[0]
    assert [row.suite for row in report.comparisons if row.label is None] == ["golden"]


def test_label_that_fell_fails():
    """One label that got clearly worse fails a candidate that is better over all."""
    report = judge(pairs(200, 60, 0) + pairs(10, 0, 10, labels=("c",)))
    assert report.check("non_inferiority").outcome == "pass"
    assert report.check("slice_floor:c").outcome == "fail"
    assert report.check("label_floors").outcome == "fail"
    assert report.outcome == "fail"


def test_first_release_must_be_better_than_the_base():
    """Nothing right against nothing right is not worse, and no first release."""
    nothing = judge(pairs(0, 0, 0, 400), subject=FIRST)
    assert nothing.check("non_inferiority").outcome == "pass"
    assert nothing.check("better_than_base").outcome == "inconclusive"
    assert nothing.check("minimum_accuracy").outcome == "fail"
    equal = judge(pairs(380, 5, 5, 10), subject=FIRST)
    assert equal.outcome == "inconclusive"
    little = judge(pairs(300, 40, 25, 35), subject=FIRST)
    assert "more cases would show it" in little.check("better_than_base").reason
    assert judge(pairs(20, 350, 0, 30), subject=FIRST).outcome == "pass"
    rules = with_rules(first_must_be_better=False)
    assert judge(pairs(380, 5, 5, 10), rules, FIRST).outcome == "pass"
    # A later release is held to the margin alone.
    assert judge(pairs(380, 5, 5, 10)).outcome == "pass"


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


@pytest.mark.parametrize(("invalid", "outcome"), [(3, "pass"), (4, "fail")])
def test_schema_validity_is_reached_at_its_limit(invalid, outcome):
    """297 valid answers of 300 are 0.99, which is what the rule asks for; 296 are less."""
    champion = [case for case in pairs(280, 20, 0) if case.arm == "champion"]
    candidate = [case for case in pairs(280, 20, 0) if case.arm == "candidate"]
    broken = [replace(case, schema_valid=False) for case in candidate[:invalid]]
    report = judge([*champion, *broken, *candidate[invalid:]], with_rules(schema_validity=0.99))
    assert report.check("schema_validity").outcome == outcome


def test_label_is_compared_from_its_minimum_of_cases():
    """A label with exactly so many cases has a comparison of its own, one with fewer has none."""
    rules = with_rules(slice_minimum=10)
    report = judge(pairs(200) + pairs(10, labels=("c",)) + pairs(9, labels=("d",)), rules)
    labels = {comparison.label for comparison in report.comparisons}
    assert {"a", "b", "c"} <= labels
    assert "d" not in labels


@pytest.mark.parametrize(("seconds", "outcome"), [(0.02, "pass"), (0.0201, "fail")])
def test_latency_is_a_ratio(seconds, outcome):
    """An answer may take twice the champion's time."""
    cases = [
        replace(case, seconds=seconds) if case.arm == "candidate" else case
        for case in pairs(280, 20, 0)
    ]
    assert judge(cases).check("latency").outcome == outcome


def test_time_that_is_no_number_is_an_error():
    """A failed measurement of the latency ends the gate, and is no verdict on the candidate."""
    cases = pairs(280, 20, 0)
    with pytest.raises(MeasurementError, match="nan seconds"):
        judge([*cases[:-1], replace(cases[-1], seconds=float("nan"))])


def test_latency_of_few_answers_is_inconclusive():
    """Ten answers are too few for a ratio."""
    report = judge(pairs(8, 2, 0), with_rules(margin=0.9, minimum_accuracy=0.0))
    assert report.outcome == "inconclusive"
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


def test_report_writes_out_every_rule():
    """A default that changes later does not change what an earlier report decided by."""
    report = judge(pairs(280, 20, 0), GateRules(margin=0.05))
    assert f'"minimum_accuracy":{RULES.minimum_accuracy}' in report.to_json()


def test_report_of_an_earlier_version_keeps_its_digest():
    """What an approval names is still the report's digest after an upgrade."""
    text = (Path(__file__).parent / "gate_report_of_0_1.json").read_text(encoding="utf-8")
    report = parse_report(text)
    assert report.outcome == "fail"
    assert report.check("golden_non_inferiority").outcome == "inconclusive"
    assert report.to_json() == text
    assert report.digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("moved", "is_seen"), [(0.0, True), (0.01, False)])
def test_adapter_that_does_nothing_fails(moved, is_seen):
    """Every answer and every confidence are the base's: no figure makes that a candidate."""
    cases = []
    for number, case in enumerate(pairs(both=450, suite="golden")):
        sure = 0.5 + (number // 2 % 40) / 100
        shift = moved if number == 1 else 0.0
        cases.append(replace(case, confidence=sure + shift))
        if case.arm == "champion":
            cases.append(replace(case, arm="base", release="base", confidence=sure))
    report = decide_gate(RULES, SUBJECT, cases, measured_at=START)
    seen = [check.reason for check in report.checks if check.name == "effect"]
    assert bool(seen) == is_seen
    assert report.outcome == ("fail" if is_seen else "pass")
    if seen:
        assert "all 450 answers and their confidences are those of the base" in seen[0]
