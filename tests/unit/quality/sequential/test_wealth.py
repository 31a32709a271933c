"""The wealth of the bets: never more in expectation than before, and stopped at its goal."""

import numpy as np
import pytest

from flywheel.quality.sequential.counts import Block, Totals, conditional_outcomes
from flywheel.quality.sequential.wealth import (
    REACHED,
    Outcomes,
    Wealth,
    advance,
    initial_wealth,
)

_BLOCKS = [(10, 2, 10, 0), (90, 5, 10, 4), (1, 1, 1, 0), (1000, 3, 7, 7), (50, 0, 50, 0)]


def block(*numbers):
    return Block(*(np.array(number) for number in numbers))


@pytest.mark.parametrize("numbers", _BLOCKS)
@pytest.mark.parametrize("start", [(0.0475, 0.0025), (0.7, 0.01), (0.001, 0.5), (1e-9, 1e-6)])
@pytest.mark.parametrize("tilt", [0.0, 0.6, 3.0])
def test_the_expected_wealth_is_the_stake_without_a_difference(numbers, start, tilt):
    """Summed over every outcome of a block, the bet is fair under equal rates, and wastes nothing."""
    outcomes = conditional_outcomes(block(*numbers))
    before = Wealth(np.array(start[0]), np.array(start[1]))
    after = [
        float(
            advance(
                before, outcomes, np.array(index), left=np.array(5.0), tilt=np.array(tilt)
            ).total
        )
        for index in range(len(outcomes.chances))
    ]
    assert np.dot(outcomes.chances, after) == pytest.approx(sum(start), rel=1e-6)


def test_a_payoff_grows_with_the_evidence_so_that_a_better_candidate_gains_nothing():
    """Under lower rates of the candidate the expectation is at most that under equal ones."""
    outcomes = conditional_outcomes(block(40, 6, 40, 6))
    wealth = Wealth(np.array(0.3), np.array(0.1))
    after = [
        float(
            advance(wealth, outcomes, np.array(index), left=np.array(9.0), tilt=np.array(0.5)).total
        )
        for index in range(len(outcomes.chances))
    ]
    assert np.all(np.diff(after) >= -1e-9)


def test_the_planned_payoff_is_cut_at_the_goal():
    """What a surprising outcome would pay beyond the goal is paid to the others."""
    outcomes = conditional_outcomes(block(40, 6, 40, 6))
    wealth = Wealth(np.array(0.6), np.array(0.0))
    after = [
        float(
            advance(wealth, outcomes, np.array(index), left=np.array(9.0), tilt=np.array(0.0)).total
        )
        for index in range(len(outcomes.chances))
    ]
    assert after[-1] == pytest.approx(1)
    assert max(after) <= 1 + 1e-9


def test_a_hypothesis_that_was_refuted_stays_refuted():
    """Evidence that reached its goal is not bet again."""
    outcomes = conditional_outcomes(block(100, 30, 100, 0))
    done = Wealth(np.array(0.9), np.array(0.1))
    after = advance(done, outcomes, np.array(0), left=np.array(9.0), tilt=np.array(0.5))
    assert float(after.total) >= REACHED


def test_many_processes_advance_as_each_alone():
    """Arrays are only a faster way to do the same."""
    numbers = np.array([(10, 2, 10, 3), (20, 0, 5, 1), (9, 9, 1, 0)])
    together = advance(
        initial_wealth(0.05, (3,)),
        conditional_outcomes(Block(*numbers.T)),
        numbers[:, 3],
        left=np.full(3, 8.0),
        tilt=np.full(3, 0.2),
    )
    alone = [
        advance(
            initial_wealth(0.05),
            conditional_outcomes(block(*row)),
            np.array(row[3]),
            left=np.array(8.0),
            tilt=np.array(0.2),
        ).total
        for row in numbers
    ]
    np.testing.assert_allclose(together.total, alone, rtol=1e-9)


def test_the_outcomes_of_a_block_are_those_of_fishers_exact_test():
    """Given the number of events, the candidate's are hypergeometric."""
    from scipy.stats import hypergeom

    outcomes = conditional_outcomes(block(90, 5, 10, 4))
    expected = hypergeom(100, 9, 10).pmf(np.arange(10))
    np.testing.assert_allclose(outcomes.chances, expected[: len(outcomes.chances)], atol=1e-12)
    assert float(outcomes.variance) == pytest.approx(hypergeom(100, 9, 10).var())


def test_totals_weigh_an_unbalanced_block_by_its_smaller_arm():
    """Nine times as many answers of the champion are worth less than twice as many."""
    totals = Totals.zero().add(block(90, 5, 10, 4))
    assert float(totals.information) == pytest.approx(9.0)
    assert float(totals.score) == pytest.approx(9 * (0.4 - 5 / 90))


def test_a_block_that_can_show_one_thing_only_changes_nothing():
    """Without an event there is nothing to bet on."""
    outcomes = Outcomes(np.array([1.0]), np.array([0.0]))
    after = advance(
        initial_wealth(0.05), outcomes, np.array(0), left=np.array(9.0), tilt=np.array(1.0)
    )
    assert float(after.total) == pytest.approx(0.05)
