"""Fixed cases: lost beyond what retraining loses, and the ones that a person named."""

import numpy as np
import pytest

from flywheel.artifacts.snapshot import FixedCase
from flywheel.evaluate.evidence import FixedGroup, GateEvidence, PairedAccuracy
from flywheel.evaluate.fixed import chance_of_loss, check_fixed, loss_p_value
from flywheel.evaluate.paired import PairedCounts
from flywheel.workload.model import GateRules

RULES = GateRules()


def evidence(fixed, *, gained=15, lost=15, named=None):
    golden = PairedAccuracy(PairedCounts(300, gained, lost), 255)
    return GateEvidence(
        first=False,
        golden=golden,
        holdout=None,
        answers=300,
        valid=300,
        fixed=fixed,
        named=named or {},
    )


def outcomes(given, rules=RULES):
    return {check.name: check.outcome for check in check_fixed(rules, given)[0]}


@pytest.mark.parametrize(("lost", "outcome"), [(15, "pass"), (20, "pass"), (40, "fail")])
def test_churn_of_an_equal_candidate_passes(lost, outcome):
    """As many losses as the candidate gains elsewhere are retraining; far more are not."""
    given = evidence({FixedCase(): FixedGroup(250, lost)}, lost=lost)
    assert outcomes(given) == {"must_not_lose": outcome}


@pytest.mark.parametrize(
    ("cases", "lost", "outcome"),
    [(2, 0, "pass"), (2, 1, "pass"), (1, 1, "pass"), (2, 2, "inconclusive"), (4, 4, "fail")],
)
def test_too_few_fixed_cases_are_undecided_where_all_are_lost(cases, lost, outcome):
    """Two of two lost cannot fail (an equal candidate does it in 1.4 %), and is no pass either."""
    given = evidence({FixedCase(): FixedGroup(cases, lost)}, gained=25)
    assert outcomes(given) == {"must_not_lose": outcome}


def test_few_fixed_cases_stop_few_equal_candidates():
    """Simulated: with one to five fixed cases an equal candidate is held up in 5 % at most."""
    rng = np.random.default_rng(5)
    for cases in (1, 2, 3, 5):
        held_up = 0
        for _ in range(400):
            gained, lost = int(rng.binomial(45, 15 / 45)), int(rng.binomial(cases, 15 / 255))
            given = evidence({FixedCase(): FixedGroup(cases, lost)}, gained=gained)
            held_up += outcomes(given)["must_not_lose"] != "pass"
        assert held_up <= 0.05 * 400 + 8


def test_losses_of_a_candidate_that_gains_nothing_fail():
    """Without churn the cases that were fixed earlier must stay."""
    assert outcomes(evidence({FixedCase(): FixedGroup(250, 15)}, gained=0)) == {
        "must_not_lose": "fail"
    }


def test_equal_candidates_pass_and_clumsy_ones_fail():
    """Simulated: an equal candidate passes in 97 % and more, one that loses twice so much fails."""
    rng = np.random.default_rng(2)
    passed = {1: 0, 3: 0}
    for factor in passed:
        for _ in range(200):
            gained = int(rng.binomial(45, 15 / 45))
            lost = int(rng.binomial(250, factor * 15 / 255))
            given = evidence({FixedCase(): FixedGroup(250, lost)}, gained=gained)
            passed[factor] += outcomes(given)["must_not_lose"] == "pass"
    assert passed[1] >= 194
    assert passed[3] <= 20


def test_record_of_a_case_moves_its_chance():
    """A case that releases held is safer than the churn of all, one that was lost is not."""
    assert chance_of_loss(FixedCase(1, 0, 0), 0.06) == pytest.approx(0.06)
    assert chance_of_loss(FixedCase(1, 4, 0), 0.06) == pytest.approx(0.02)
    assert chance_of_loss(FixedCase(2, 0, 1), 0.06) == pytest.approx(1.12 / 3)


def test_cases_fixed_twice_are_judged_by_their_record():
    """They flicker: a few lost ones are expected, all of them lost are not."""
    steady = {FixedCase(1, 2, 0): FixedGroup(240, 7)}
    twice = FixedCase(2, 0, 1)
    assert outcomes(evidence({**steady, twice: FixedGroup(7, 3)}))["fixed_twice"] == "pass"
    assert outcomes(evidence({**steady, twice: FixedGroup(7, 7)}))["fixed_twice"] == "fail"
    assert "fixed_twice" not in outcomes(evidence(steady))


def test_named_case_must_be_right():
    """One lost case that a person named fails, whatever else the candidate gains, and is named."""
    rules = RULES.model_copy(update={"must_hold": ("i1", "i2")})
    assert outcomes(evidence({}, named={"i1": True, "i2": True}), rules) == {"must_hold": "pass"}
    checks, notes = check_fixed(rules, evidence({}, named={"i1": True, "i2": False}))
    assert checks[0].outcome == "fail"
    assert "i2" in checks[0].reason
    assert notes == []


def test_named_case_that_was_not_measured_is_noted():
    """A person who named a case reads that it is no accepted correction any more."""
    rules = RULES.model_copy(update={"must_hold": ("gone",)})
    checks, (note,) = check_fixed(rules, evidence({}))
    assert checks == []
    assert "gone" in note


def test_loss_p_value_is_the_poisson_binomial_tail():
    """Two groups with their own chances, against a simulation."""
    rng = np.random.default_rng(3)
    lost = rng.binomial(200, 0.06, size=100_000) + rng.binomial(7, 0.4, size=100_000)
    found = loss_p_value([(0.06, 200), (0.4, 7)], 20)
    assert found == pytest.approx(np.mean(lost >= 20), abs=0.005)
    assert loss_p_value([(0.06, 200)], 0) == pytest.approx(1.0)
