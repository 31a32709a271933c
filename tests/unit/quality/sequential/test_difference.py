"""The confidence sequence of the difference: fair bets, and intervals like those of `ville`."""

import numpy as np
import pytest

from flywheel.quality.sequential.counts import ArmCounts, Block, Totals
from flywheel.quality.sequential.difference import advance_grid, grid_of, initial_grid
from flywheel.quality.sequential.evidence import MetricEvidence, MetricPlan

# Events of champion and candidate in blocks of 100 answers each, and the 90 % intervals at the end
# by ville 0.1.0 (PyPI, BSD-3): BettingABTest(alpha=0.1).fit(y, treated).interval(), exact, and
# AsymptoticABTest(alpha=0.1, t_opt=1000), with numpy.random.default_rng(20261129) and the arms in turn.
_VILLE = {
    "5% and 9%": (
        [
            *((3, 8), (2, 8), (9, 9), (8, 11), (5, 7), (6, 8), (5, 14), (1, 10), (5, 11), (4, 3)),
            *((8, 13), (4, 10), (6, 4), (4, 3), (7, 6), (6, 9), (8, 12), (5, 4), (3, 5), (4, 8)),
        ],
        (0.0169008, 0.0637032),
        (0.0074071, 0.0525625),
    ),
    "15% and 5%": (
        [(19, 5), (10, 4), (12, 9), (13, 7), (13, 7), (13, 1), (14, 7), (20, 10), (15, 8), (10, 8)],
        (-0.1285064, -0.0439022),
        (-0.1111929, -0.0357049),
    ),
}


@pytest.mark.parametrize("name", _VILLE)
def test_the_interval_agrees_with_those_of_ville(name):
    """Its bounds lie between those of the two oracles, or at most two points of the grid outside."""
    blocks, betting, asymptotic = _VILLE[name]
    evidence = MetricEvidence.start(MetricPlan(0.02, 2000, 2000))
    for champion, candidate in blocks:
        evidence = evidence.add(ArmCounts(100, champion), ArmCounts(100, candidate))
    lower, upper = evidence.interval
    grid, lowers, uppers = grid_of(0.02), *zip(betting, asymptotic, strict=True)
    assert grid[grid <= min(lowers)][-2:][0] <= lower <= max(lowers)
    assert min(uppers) <= upper <= grid[grid >= max(uppers)][:2][-1]


@pytest.mark.parametrize("rates", [(0.05, 0.05), (0.2, 0.02), (0.02, 0.4), (0.9, 0.9)])
@pytest.mark.parametrize("answers", [(9, 1), (3, 4)])
def test_the_expected_wealth_never_grows_where_the_hypothesis_holds(rates, answers):
    """Every bet is fair at most, whatever the rates, summed over all outcomes of a block."""
    from scipy.stats import binom

    champion_rate, candidate_rate = rates
    before = Totals.zero().add(Block(*map(np.array, (90, 30, 30, 3))))
    grid = initial_grid(0.02)
    expected = np.zeros((2, len(grid_of(0.02))))
    for champion in range(answers[0] + 1):
        for candidate in range(answers[1] + 1):
            chance = binom.pmf(champion, answers[0], champion_rate) * binom.pmf(
                candidate, answers[1], candidate_rate
            )
            block = Block(*map(np.array, (answers[0], champion, answers[1], candidate)))
            after = advance_grid(grid, block, before, margin=0.02, significance=0.05)
            expected += chance * np.exp([after.excess, after.shortfall])
    difference = candidate_rate - champion_rate
    assert np.all(expected[0][grid_of(0.02) >= difference - 1e-12] <= 1 + 1e-9)
    assert np.all(expected[1][grid_of(0.02) <= difference + 1e-12] <= 1 + 1e-9)


def test_the_grid_holds_no_difference_and_both_margins():
    """The verdicts are read from these points."""
    grid = grid_of(0.02)
    assert {-0.02, 0.0, 0.02} <= set(grid.tolist())
    assert np.all(np.diff(grid) > 0)
