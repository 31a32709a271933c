"""The second look of an undecided gate: its error, its power, and how many cases it asks for."""

from statistics import NormalDist

import numpy as np
import pytest

from flywheel.evaluate.evidence import GateEvidence, PairedAccuracy
from flywheel.evaluate.gate import decide_checks, overall_outcome
from flywheel.evaluate.latency import LatencyRatio
from flywheel.evaluate.paired import PairedCounts, paired_score, tango_interval
from flywheel.evaluate.second_look import (
    FEWEST_CASES,
    cases_to_collect,
    combined_interval,
    first_look_significance,
    second_look_limit,
)
from flywheel.workload.model import GateRules

RULES = GateRules()
CASES = 500
FIRST_LIMIT = NormalDist().inv_cdf(1 - first_look_significance(RULES) / 2)


def draw(rng, cases, difference, discordance=0.1):
    shares = [(discordance + difference) / 2, (discordance - difference) / 2]
    gained, lost, _ = rng.multinomial(cases, [*shares, 1 - sum(shares)])
    return PairedCounts(cases, int(gained), int(lost))


def play(difference, gates, seed, *, naive=False):
    """Return the shares that pass at the first look, and at either of both."""
    rng = np.random.default_rng(seed)
    limit = second_look_limit(RULES.significance)
    early = late = 0
    for _ in range(gates):
        first = draw(rng, CASES, difference)
        score = paired_score(first, -RULES.margin)
        if score >= (NormalDist().inv_cdf(1 - RULES.significance / 2) if naive else FIRST_LIMIT):
            early += 1
            continue
        more = cases_to_collect(RULES, first)
        if more is None:
            continue
        second = draw(rng, more, difference)
        if naive:  # all cases pooled, and the whole significance once more
            pooled = PairedCounts(
                first.cases + more, first.gained + second.gained, first.lost + second.lost
            )
            late += tango_interval(pooled, confidence=1 - RULES.significance)[0] > -RULES.margin
        else:
            both = (score + paired_score(second, -RULES.margin)) * 0.5**0.5
            late += both >= limit
    return early / gates, (early + late) / gates


def test_two_looks_pass_what_is_worse_by_the_margin_as_rarely_as_one():
    """Simulated at the margin: at most half the significance, where a second whole look has more."""
    early, either = play(-RULES.margin, 8_000, seed=4)
    _, naive = play(-RULES.margin, 8_000, seed=4, naive=True)
    allowed = RULES.significance / 2
    error = 3 * (allowed / 8_000) ** 0.5
    assert early <= 0.8 * allowed + error
    assert either <= allowed + error
    assert naive > either


def test_second_look_lets_equal_candidates_through():
    """What one look leaves undecided of equal candidates mostly passes the second."""
    early, either = play(0.0, 1_000, seed=5)
    assert early < 0.85
    assert either > early + 0.08
    assert either > 0.92


def test_limits_spend_the_significance_between_them():
    """Drawn from two independent scores: 0.8 of it at the first look, all of it at both."""
    scores = np.random.default_rng(6).standard_normal((1_000_000, 2))
    early = scores[:, 0] >= FIRST_LIMIT
    late = scores.sum(axis=1) * 0.5**0.5 >= second_look_limit(RULES.significance)
    assert early.mean() == pytest.approx(0.008, abs=3e-4)
    assert (early | late).mean() == pytest.approx(0.010, abs=3e-4)


def test_combined_interval_is_the_decision():
    """Its lower bound is above minus the margin just where the combined score passes its limit."""
    first = PairedCounts(500, 22, 30)
    limit = second_look_limit(0.02)
    for gained in range(20, 50):
        second = PairedCounts(500, gained, 30)
        both = (paired_score(first, -0.05) + paired_score(second, -0.05)) * 0.5**0.5
        lower, upper = combined_interval(first, second, significance=0.02)
        assert lower < upper
        assert (lower > -0.05) == (both > limit)


def test_cases_that_are_asked_for_decide_in_about_four_of_five():
    """The number is worth what it says, where the difference stays as the first look saw it."""
    first = PairedCounts(510, 22, 30)
    more = cases_to_collect(RULES, first)
    assert more == 535
    rng = np.random.default_rng(7)
    intervals = (
        combined_interval(
            first,
            draw(rng, more, first.difference, first.discordance),
            significance=RULES.significance,
        )
        for _ in range(250)
    )
    assert 0.72 <= np.mean([lower > -RULES.margin for lower, _ in intervals]) <= 0.88


@pytest.mark.parametrize(
    ("gained", "lost", "rules"),
    [
        (10, 40, RULES),  # rather worse than the margin
        (10, 35, RULES),  # on the margin: no number decides
        (22, 30, GateRules(judgment_days=0)),
    ],
)
def test_what_more_cases_cannot_decide_asks_for_none(gained, lost, rules):
    """Nobody is asked to confirm a failure, nor where a second look is switched off."""
    assert cases_to_collect(rules, PairedCounts(510, gained, lost)) is None


def test_no_second_look_leaves_the_first_one_whole():
    """`judgment_days: 0` spends all of the significance at once."""
    assert first_look_significance(GateRules(judgment_days=0)) == RULES.significance
    assert first_look_significance(RULES) == pytest.approx(0.016)


def evidence(first, directed=None):
    def pair(counts):
        return PairedAccuracy(counts, round(0.85 * counts.cases))

    return GateEvidence(
        first=False,
        golden=pair(first),
        holdout=None,
        answers=1,
        valid=1,
        latency=LatencyRatio(1.0, 1.0, 10),
        directed=None if directed is None else pair(directed),
    )


def test_gate_is_decided_by_both_looks_together():
    """Directed cases decide what the golden ones left open, either way, or end it undecided."""
    first = PairedCounts(510, 22, 30)
    more = cases_to_collect(RULES, first)
    assert more > FEWEST_CASES

    def outcome(gained, lost):
        checks, _ = decide_checks(RULES, evidence(first, PairedCounts(more, gained, lost)))
        return overall_outcome(checks), checks[0].reason

    assert overall_outcome(decide_checks(RULES, evidence(first))[0]) == "inconclusive"
    passed, reason = outcome(27, 27)
    assert passed == "pass"
    assert reason.startswith("golden and directed")
    assert outcome(0, 90)[0] == "fail"
    last, reason = outcome(20, 38)
    assert last == "inconclusive"
    assert "after both looks" in reason


@pytest.mark.parametrize("counts", [(510, 30, 22), (510, 1, 1)])
def test_too_few_new_cases_are_never_asked_for(counts):
    """Below twenty the score of the new cases is not normally distributed, however few would do."""
    assert cases_to_collect(RULES, PairedCounts(*counts)) == FEWEST_CASES == 20
