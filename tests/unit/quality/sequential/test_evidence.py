"""Evidence on a metric: error rates over all looks, power, and a restart that loses nothing."""

import numpy as np
import pytest

from flywheel.errors import ConfigurationError, DataError, MeasurementError
from flywheel.quality.sequential.counts import ArmCounts, Block, Totals
from flywheel.quality.sequential.evidence import MetricEvidence, MetricPlan, advance_direction
from flywheel.quality.sequential.wealth import REACHED, initial_wealth

_PLAN = MetricPlan(margin=0.02, champion_answers=1000, candidate_answers=1000)


def share_called_worse(champion, candidate, *, runs, better=False):
    rng = np.random.default_rng(2)
    wealth, totals = initial_wealth(_PLAN.share, (runs,)), Totals.zero((runs,))
    for _ in range(50):
        drawn = [rng.binomial(20, rate, runs) for rate in (champion, candidate)]
        answers = np.full(runs, 20)
        block = Block(answers, drawn[0], answers, drawn[1])
        wealth = advance_direction(wealth, block, totals, _PLAN, better=better)
        totals = totals.add(block)
    return float(np.mean(wealth.total >= REACHED))


def evidence_of(blocks, plan=_PLAN):
    evidence = MetricEvidence.start(plan)
    for champion, candidate in blocks:
        evidence = evidence.add(champion, candidate)
    return evidence


def drawn_blocks(champion, candidate, *, minutes, answers=20, seed=3):
    rng = np.random.default_rng(seed)
    return [
        tuple(
            ArmCounts(answers, int(rng.binomial(answers, rate))) for rate in (champion, candidate)
        )
        for _ in range(minutes)
    ]


def test_equal_arms_are_called_worse_in_at_most_5_percent_of_all_looks_together():
    """Fifty looks raise no more false alarms than one is allowed."""
    assert share_called_worse(0.05, 0.05, runs=600) <= 0.06


def test_a_harm_of_4_points_is_found_within_1000_answers_an_arm():
    """Five to nine percent errors; the bench measures it at 100 looks with more runs."""
    assert share_called_worse(0.05, 0.09, runs=300) >= 0.93


def test_an_improvement_is_found_by_the_same_test_with_the_arms_exchanged():
    """Nine to five percent."""
    assert share_called_worse(0.09, 0.05, runs=300, better=True) >= 0.93
    assert share_called_worse(0.09, 0.05, runs=300) <= 0.01


def test_evidence_read_back_goes_on_as_if_nothing_had_happened():
    """JSON holds every number exactly."""
    blocks = drawn_blocks(0.05, 0.09, minutes=12)
    first = evidence_of(blocks[:6])
    again = MetricEvidence.from_json(first.to_json(), _PLAN)
    assert again == first
    for champion, candidate in blocks[6:]:
        again = again.add(champion, candidate)
    assert again == evidence_of(blocks)
    assert len(again.to_json()) < 2500


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"plan": 1}'])
def test_evidence_that_cannot_be_read_says_what_to_do(text):
    """A state of another kind starts the canary again instead of being guessed at."""
    with pytest.raises(DataError, match="start the canary again"):
        MetricEvidence.from_json(text, _PLAN)


def test_evidence_of_another_plan_is_refused():
    """Bets that were made for another sample or margin cannot be continued."""
    other = MetricPlan(margin=0.01, champion_answers=1000, candidate_answers=1000)
    with pytest.raises(DataError, match="another plan"):
        MetricEvidence.from_json(MetricEvidence.start(other).to_json(), _PLAN)


def test_a_minute_in_which_one_arm_was_silent_adds_nothing():
    """Without a comparison there is no evidence."""
    start = MetricEvidence.start(_PLAN)
    assert start.add(ArmCounts(50, 40), ArmCounts(0, 0)) == start
    assert start.difference is None
    assert start.interval == (-1.0, 1.0)


def test_no_event_in_either_arm_is_evidence_for_equivalence_alone():
    """Two arms without an error are soon equivalent, and never worse or better."""
    none = ArmCounts(100, 0)
    evidence = evidence_of([(none, none)] * 12)
    assert evidence.is_equivalent
    assert not evidence.is_worse
    assert not evidence.is_better


def test_a_broken_candidate_is_found_in_a_minute_of_any_size():
    """One block that holds more than the whole plan is enough."""
    evidence = evidence_of([(ArmCounts(20_000, 1000), ArmCounts(5000, 2500))])
    assert evidence.is_worse
    assert evidence.interval[0] >= 0
    assert evidence.difference == pytest.approx(0.45)


def test_a_rate_that_moves_in_both_arms_is_no_difference():
    """A bad hour of both arms that has most of the candidate's traffic does not blame it."""
    quiet, busy = (ArmCounts(90, 2), ArmCounts(10, 0)), (ArmCounts(90, 45), ArmCounts(90, 45))
    evidence = evidence_of([quiet] * 20 + [busy] * 10)
    assert not evidence.is_worse
    assert evidence.difference == pytest.approx(0, abs=0.01)


def test_counts_and_plans_that_cannot_be_are_refused():
    """More events than answers, or a canary planned for nothing."""
    with pytest.raises(MeasurementError, match="5 events among 4 answers"):
        ArmCounts(4, 5)
    with pytest.raises(ConfigurationError):
        MetricPlan(margin=0.0, champion_answers=10, candidate_answers=10)
    with pytest.raises(ConfigurationError):
        MetricPlan(margin=0.1, champion_answers=10, candidate_answers=0)
