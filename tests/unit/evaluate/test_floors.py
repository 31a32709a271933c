"""Floors per label: exact, corrected for the number of labels, and honest about what has none."""

import numpy as np
import pytest

from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.exact_tests import binomial_chances, holm_adjusted, number_of_tests
from flywheel.evaluate.floors import check_labels, fall_p_value, judge_labels
from flywheel.evaluate.paired import PairedCounts
from flywheel.workload.model import GateRules

RULES = GateRules()


def pair(cases, right, gained=0, lost=0):
    return PairedAccuracy(PairedCounts(cases, gained, lost), right)


def evidence(labels, *, first=False):
    total = sum(labels.values(), pair(0, 0))
    return GateEvidence(
        first=first, golden=total, holdout=None, labels=labels, answers=total.cases, valid=0
    )


def test_p_value_is_the_trinomial_tail():
    """By hand: one answer in ten is lost and none gained where the floor explains all churn."""
    by_hand = sum(binomial_chances(10, 0.1)[6:])
    assert fall_p_value(10, 6, discordance=0.1, floor=0.1) == pytest.approx(by_hand)
    # With more churn some cases are gained, which a simulation counts.
    draws = np.random.default_rng(1).multinomial(12, [0.2, 0.1, 0.7], size=200_000)
    simulated = np.mean(draws[:, 0] - draws[:, 1] >= 4)
    assert fall_p_value(12, 4, discordance=0.3, floor=0.1) == pytest.approx(simulated, abs=0.003)


def test_p_value_of_every_fall_is_one():
    """Everything is at least as bad as gaining every case."""
    assert fall_p_value(5, -5, discordance=0.2, floor=0.1) == pytest.approx(1.0)


def test_churn_of_a_label_is_that_of_the_others_with_one_case_in_ten_before_them():
    """By hand: 18 of 40 cases of the other label differ, with the prior 19 of 50."""
    labels = {"a": pair(20, 18, lost=5), "b": pair(40, 38, gained=9, lost=9)}
    alone = fall_p_value(20, 5, discordance=19 / 50, floor=RULES.slice_floor)
    assert judge_labels(RULES, labels).adjusted["a"] == pytest.approx(2 * alone)
    assert alone != pytest.approx(
        fall_p_value(20, 5, discordance=19 / 30, floor=RULES.slice_floor), rel=0.1
    )


@pytest.mark.parametrize("cases", [0, 1, 10])
def test_binomial_chances_are_of_every_number_of_successes(cases):
    """They add up to one, and the last one is that of success in every case."""
    chances = binomial_chances(cases, 0.3)
    assert len(chances) == cases + 1
    assert chances.sum() == pytest.approx(1)
    assert chances[-1] == pytest.approx(0.3**cases)


def test_holm_is_the_textbook_one():
    """Holm's own scheme: the smallest times their number, the next times one less, never falling."""
    adjusted = holm_adjusted({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 4)
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


def test_only_tests_that_can_show_anything_are_corrected_for():
    """Tarone's number: two of four tests reach half of the significance."""
    assert number_of_tests([0.001, 0.02, 0.03, 0.5], 0.05) == 2
    assert number_of_tests([0.5, 0.9], 0.05) == 1
    assert number_of_tests([0.05, 0.05], 0.05) == 2
    assert number_of_tests([], 0.05) == 1


@pytest.mark.parametrize(("others", "cases"), [(21, 13), (76, 10)])
def test_broken_label_is_found_and_equal_ones_are_left_alone(others, cases):
    """Over 22 and over 77 labels: a label that lost everything fails, one that lost two does not."""
    even = {
        f"l{n:02d}": pair(cases, cases - 2, gained=n % 2, lost=n % 3 == 0) for n in range(others)
    }
    broken = judge_labels(RULES, {**even, "x": pair(cases, cases - 2, lost=cases - 2)})
    assert broken.adjusted["x"] < RULES.significance
    unlucky = judge_labels(RULES, {**even, "x": pair(cases, cases - 2, lost=2)})
    assert min(unlucky.adjusted.values()) > RULES.significance


def test_equal_candidates_rarely_fail_any_floor():
    """Over simulated equal candidates on 22 labels of 20 cases a floor fails in at most 2 %."""
    rng = np.random.default_rng(4)
    failures = 0
    for _ in range(300):
        draws = rng.multinomial(20, [0.05, 0.05, 0.9], size=22)
        labels = {f"l{n}": pair(20, 17, int(g), int(lost)) for n, (g, lost, _) in enumerate(draws)}
        failures += any(
            check.outcome == "fail" for check in check_labels(RULES, evidence(labels))[0]
        )
    assert failures / 300 <= RULES.significance


def test_labels_without_a_floor_are_counted_with_what_they_lack():
    """Two cases show nothing; the note says how many labels, and how many cases."""
    labels = {f"l{n}": pair(20, 18) for n in range(10)} | {"rare": pair(2, 2), "odd": pair(2, 1)}
    checks, (note,) = check_labels(RULES, evidence(labels))
    assert "10 of 12 have a floor" in checks[0].reason
    assert checks[0].value == min(judge_labels(RULES, labels).adjusted.values())
    assert note.startswith("2 of 12 labels have no floor")
    lacking = judge_labels(RULES, labels).lacking
    assert set(lacking) == {"rare", "odd"}
    assert f"about {sum(lacking.values())} evaluation cases" in note
    # So many more at the accuracy that two right answers of two suggest, 5/6, and one fewer.
    for short, without in ((0, {"odd"}), (1, {"rare", "odd"})):
        cases = 2 + lacking["rare"] - short
        grown = {**labels, "rare": pair(cases, cases * 5 // 6)}
        assert set(judge_labels(RULES, grown).lacking) == without


@pytest.mark.parametrize(("minimum", "tested"), [(20, True), (21, False)])
def test_minimum_of_a_floor_is_the_workloads(minimum, tested):
    """A label with exactly so many cases has a floor, one case fewer is too few and is said."""
    rules = RULES.model_copy(update={"slice_minimum": minimum})
    labels = {"a": pair(20, 18), "b": pair(40, 38)}
    floors = judge_labels(rules, labels)
    assert ("a" in floors.adjusted) == tested
    assert floors.lacking == ({} if tested else {"a": 1})
    notes = check_labels(rules, evidence(labels))[1]
    assert bool(notes) != tested
    assert tested or f"1 are below gates.slice_minimum ({minimum})" in notes[0]


def test_fall_of_exactly_the_significance_fails():
    """An adjusted p-value that equals the significance counts, as the test's level says."""
    labels = {"a": pair(20, 18, lost=6), "b": pair(200, 180, gained=10, lost=10)}
    p_value = judge_labels(RULES, labels).adjusted["a"]
    for significance, failed in ((p_value, True), (p_value * 0.999, False)):
        rules = RULES.model_copy(update={"significance": significance})
        outcomes = {check.name: check.outcome for check in check_labels(rules, evidence(labels))[0]}
        assert ("slice_floor:a" in outcomes) == failed


def test_label_whose_whole_loss_just_reaches_the_significance_has_a_floor():
    """The loss of every right answer at exactly the level can be shown, and so it is tested."""
    labels = {"a": pair(20, 6, lost=6)}
    whole_loss = judge_labels(RULES.model_copy(update={"significance": 1.0}), labels).adjusted["a"]
    for significance, tested in ((whole_loss, True), (whole_loss * 0.999, False)):
        rules = RULES.model_copy(update={"significance": significance})
        assert ("a" in judge_labels(rules, labels).adjusted) == tested


def test_floor_of_nothing_and_of_everything():
    """A floor of 0 allows no fall that is shown; a floor of 1 allows all."""
    labels = {"a": pair(40, 40, lost=9), "b": pair(400, 380, gained=10, lost=10)}
    none = RULES.model_copy(update={"slice_floor": 0.0})
    assert "slice_floor:a" in {check.name for check in check_labels(none, evidence(labels))[0]}
    assert check_labels(RULES, evidence(labels))[0][0].outcome == "pass"
    everything = RULES.model_copy(update={"slice_floor": 1.0})
    assert check_labels(everything, evidence(labels)) == ([], [])


def test_label_that_the_champion_never_has_right_lacks_no_cases():
    """More cases would not give it a floor, and the note says so beside those that lack some."""
    labels = {f"l{n}": pair(20, 18) for n in range(10)} | {"rare": pair(2, 2), "bad": pair(40, 0)}
    assert set(judge_labels(RULES, labels).lacking) == {"rare"}
    (note,) = check_labels(RULES, evidence(labels))[1]
    assert "Of 1 more the champion has too few right" in note


def test_base_model_has_no_labels_to_fall_from():
    """A first release has no floors, and no note that its labels lack cases."""
    labels = {f"l{n}": pair(20, 0, gained=18) for n in range(5)}
    assert check_labels(RULES, evidence(labels, first=True)) == ([], [])
