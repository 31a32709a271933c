"""The chance to pass a whole gate at its defaults, by short simulations of `bench decisions`."""

from dataclasses import replace

import numpy as np
import pytest

from bench.decisions.simulated_gate import Scenario, draw_evidence, outcome_of_0_1
from flywheel.evaluate.evidence import collect_evidence
from flywheel.evaluate.gate import decide_checks, overall_outcome
from flywheel.workload.model import GateRules
from tests.unit.evaluate.test_gate import pairs

_GATES = 150


def chance_to_pass(scenario):
    rng = np.random.default_rng(11)
    return (
        sum(
            overall_outcome(decide_checks(GateRules(), draw_evidence(rng, scenario))[0]) == "pass"
            for _ in range(_GATES)
        )
        / _GATES
    )


@pytest.mark.parametrize("labels", [22, 77])
def test_equal_and_better_candidates_pass(labels):
    """Non-inferior is enough: four of five equal candidates, nine of ten that are better."""
    assert chance_to_pass(Scenario(labels=labels)) >= 0.8
    assert chance_to_pass(Scenario(labels=labels, difference=0.03)) >= 0.9


@pytest.mark.parametrize("labels", [22, 77])
def test_worse_candidates_and_broken_labels_do_not_pass(labels):
    """Five points worse, and a label of ten cases that lost everything while others gained."""
    assert chance_to_pass(Scenario(labels=labels, difference=-0.05)) <= 0.02
    assert chance_to_pass(Scenario(labels=labels, difference=0.03, broken=10)) <= 0.05


def test_rule_of_the_earlier_version_passed_next_to_nobody():
    """What the new rule is compared with: an equal candidate passed in well under one in twenty."""
    rng = np.random.default_rng(11)
    scenario = replace(Scenario(), golden=300)
    passed = sum(outcome_of_0_1(draw_evidence(rng, scenario)) == "pass" for _ in range(_GATES))
    assert passed / _GATES <= 0.05


def test_cases_and_counts_are_judged_alike():
    """What is drawn as counts is what the cases of a gate are counted to."""
    cases = pairs(120, 12, 9, 9) + pairs(40, 3, 2, 5, suite="holdout")
    cases += pairs(60, 0, 4, suite="must_not_lose")
    evidence = collect_evidence(cases, first=False)
    assert (evidence.golden.cases, evidence.golden.champion_right) == (150, 129)
    assert evidence.together.candidate_right == 132 + 43
    assert sum(pair.cases for pair in evidence.labels.values()) == 200
    assert evidence.answers == evidence.valid == 264
    # The helper's must-not-lose cases have no record, as cases that a person named only.
    assert evidence.fixed == {}
