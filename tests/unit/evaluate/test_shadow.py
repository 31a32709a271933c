"""Shadow figures: verdicts on judged pairs at every look, and what the pairs show beside them."""

import math

import numpy as np
import pytest

from flywheel.errors import MeasurementError
from flywheel.evaluate.paired import PairedCounts
from flywheel.evaluate.shadow import (
    ShadowPair,
    log_paired_wealth,
    paired_interval,
    shadow_figures,
)


def pair(champion=None, candidate=None, **others):
    facts = {"same_answer": True, "champion_valid": True, "candidate_valid": True}
    facts |= {"champion_milliseconds": 20.0, "candidate_milliseconds": 30.0, **others}
    return ShadowPair(champion_right=champion, candidate_right=candidate, **facts)


@pytest.mark.parametrize(
    ("gained", "lost", "log_e"),
    [
        # ville 0.1.0: BernoulliTest(0.5).fit([1] * lost + [0] * gained).log_e_values_[-1]. Ours
        # bets on the harmful side alone and on other stakes.
        (0, 10, 4.5336),
        (5, 20, 3.1901),
        (10, 30, 3.4543),
        (30, 60, 3.0062),
    ],
)
def test_the_paired_e_value_is_near_that_of_ville(gained, lost, log_e):
    """The pairs on which both agree do not count."""
    ours = log_paired_wealth(PairedCounts(500, lost, gained), 0.0)
    assert ours == pytest.approx(log_e, abs=0.75)
    assert ours == pytest.approx(log_paired_wealth(PairedCounts(gained + lost, lost, gained), 0.0))


@pytest.mark.parametrize(
    ("counts", "ville"),
    [
        # ville 0.1.0: BettingCS(bounds=(-1, 1), alpha=0.1) on the pairs in random order.
        (PairedCounts(1000, 10, 40), (-0.0481, -0.0091)),
        (PairedCounts(500, 25, 25), (-0.0385, 0.0341)),
        (PairedCounts(900, 30, 60), (-0.0683, -0.0075)),
    ],
)
def test_the_paired_interval_is_near_that_of_ville(counts, ville):
    """Both are exact confidence sequences by betting."""
    assert paired_interval(counts, significance=0.05) == pytest.approx(ville, abs=0.015)


@pytest.mark.parametrize("difference", [-0.5, 0.0, 0.03])
def test_the_expected_wealth_never_grows_where_the_hypothesis_holds(difference):
    """Over all outcomes of three pairs whose difference is the hypothesis's."""
    gained = max(0.04, difference + 0.04)
    lost = gained - difference
    chances = {"gained": gained, "lost": lost, "same": 1 - gained - lost}
    expected = 0.0
    for first in range(4):
        for second in range(4 - first):
            same = 3 - first - second
            ways = math.factorial(3) / math.prod(map(math.factorial, (first, second, same)))
            chance = ways * chances["gained"] ** first * chances["lost"] ** second
            wealth = math.exp(log_paired_wealth(PairedCounts(3, first, second), difference))
            expected += chance * chances["same"] ** same * wealth
    assert expected == pytest.approx(1.0)


def test_equal_releases_looked_at_each_day_are_called_worse_in_at_most_5_percent():
    """Fourteen looks at forty pairs more each."""
    rng = np.random.default_rng(4)
    days = rng.multinomial(40, [0.05, 0.05, 0.9], size=(200, 14)).cumsum(axis=1)
    worse = sum(
        any(
            log_paired_wealth(PairedCounts(int(day.sum()), int(day[1]), int(day[0])), 0.0)
            >= math.log(20)
            for day in run
        )
        for run in days
    )
    assert worse <= 0.05 * 200


def test_verdicts_follow_the_interval():
    """Worse, better and equivalent are shown, or it goes on."""

    def outcome(gained, lost, cases):
        same = [pair(True, True)] * (cases - gained - lost)
        pairs = [pair(False, True)] * gained + [pair(True, False)] * lost + same
        return shadow_figures(pairs, margin=0.03).verdict

    assert outcome(0, 15, 100).outcome == "worse"
    assert outcome(15, 0, 100).outcome == "better"
    assert outcome(3, 3, 100).outcome == "go_on"
    equal = outcome(10, 10, 1000)
    assert equal.outcome == "equivalent"
    assert equal.non_inferior
    assert equal.p_value == 1.0
    low, high = equal.single_look_interval
    assert equal.interval[0] < low < 0 < high < equal.interval[1]


def test_figures_that_nothing_was_measured_for_are_none():
    """No pair, no judgment and no confidence are not zeros."""
    empty = shadow_figures([], margin=0.03)
    assert (empty.agreement, empty.latency_ratio, empty.champion_confidence) == (None, None, None)
    assert empty.verdict.outcome == "go_on"
    assert empty.verdict.interval == pytest.approx((-1.0, 1.0))
    assert empty.verdict.single_look_interval is None


def test_figures_summarize_all_pairs_and_judge_those_that_people_decided():
    """A pair of which one answer is not judged is none of the counts."""
    pairs = [
        pair(True, True, champion_confidence=0.8, candidate_confidence=0.6),
        pair(True, False, same_answer=False),
        pair(None, True, candidate_valid=False, same_answer=False, candidate_milliseconds=50.0),
        pair(champion_confidence=0.4),
    ]
    figures = shadow_figures(pairs, margin=0.03)
    assert figures.pairs == 4
    assert figures.agreement == 0.5
    assert (figures.champion_validity, figures.candidate_validity) == (1.0, 0.75)
    assert figures.latency_ratio == 1.5
    assert (figures.champion_confidence, figures.candidate_confidence) == (0.8, 0.6)
    assert figures.verdict.counts == PairedCounts(cases=2, gained=0, lost=1)


def test_a_difference_that_cannot_be_is_refused():
    """One is no hypothesis: nothing could be larger."""
    with pytest.raises(MeasurementError):
        log_paired_wealth(PairedCounts(1, 1, 0), 1.0)
