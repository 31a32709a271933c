"""`DifferenceGrid`: a confidence sequence for the difference of two rates, valid at every look.

For each difference of a grid there is a bet against "the candidate's rate exceeds the champion's by
no more than this" and one against "by no less". The confidence sequence holds the differences that
no bet has refuted, so that it contains the true one at all looks together.

A block's bet multiplies the wealth by 1 + b (y - p) for each answer of the candidate and by
1 - c (y - q) for each of the champion's, where p - q is the difference of the hypothesis and b and c
share the stake so that (answers of the candidate) b = (answers of the champion) c. Its expectation
is at most exp((rates' excess over the hypothesis) x stake) and so at most 1, whatever the two rates
are, how they change from block to block, and how the answers are split between the arms. This is
the e-variable of Turner, Ly and Gruenwald; the stake follows the difference as estimated before the
block, from a prior around no difference.

Sources: Turner, Ly and Gruenwald (2024), Generic E-variables for exact sequential k-sample tests
that allow for optional stopping, Journal of Statistical Planning and Inference 230, 106116; Turner
and Gruenwald (2022), Exact anytime-valid confidence intervals for contingency tables and beyond,
arXiv:2203.09785.
"""

from dataclasses import dataclass

import numpy as np

from flywheel.quality.sequential.counts import Block, Ints, Totals
from flywheel.quality.sequential.wealth import Floats

__all__ = ["DifferenceGrid", "advance_grid", "grid_bounds", "grid_of", "initial_grid"]

# In margins: close together around no difference and the margin, then by thirds to a half.
_STEPS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0)
_LARGEST_STAKE = 0.5
_EDGE = 1e-4


@dataclass(frozen=True)
class DifferenceGrid:
    """Logarithms of the wealth of the bets; arrays that end with an axis of differences.

    ``excess`` are bets that the difference is larger than the grid's, ``shortfall`` that it is
    smaller.
    """

    excess: Floats
    shortfall: Floats


def grid_of(margin: float) -> Floats:
    """Return the differences that are tested, in growing order; 0 and both margins are among them."""
    steps = np.array([step * margin for step in _STEPS if step * margin < 1])
    return np.concatenate([-steps[:0:-1], steps])


def initial_grid(margin: float, shape: tuple[int, ...] = ()) -> DifferenceGrid:
    """Return the bets before the first block."""
    nothing = np.zeros((*shape, len(grid_of(margin))))
    return DifferenceGrid(nothing, nothing)


def advance_grid(
    grid: DifferenceGrid, block: Block, before: Totals, *, margin: float, significance: float
) -> DifferenceGrid:
    """Return the bets after a block; one that has refuted its hypothesis stays as it is.

    Args:
        grid: before the block.
        block: counts of both arms.
        before: sums over the blocks before this one; the stakes follow from them alone.
        margin: sets the grid, and the spread of the prior.
        significance: of each bound.
    """
    differences = grid_of(margin)
    rates = _rates_under(differences, before)
    spread = np.asarray(before.pooled_rate() * (1 - before.pooled_rate()))
    # From a normal prior around 0 whose standard deviation is the margin.
    estimate = np.asarray(before.score / (before.information + spread / margin**2))
    goal = -np.log(significance)
    sides = []
    for sign, wealth in ((1, grid.excess), (-1, grid.shortfall)):
        gain = _gain(block, rates, estimate[..., None] - differences, sign)
        sides.append(np.where(wealth >= goal, wealth, wealth + gain))
    return DifferenceGrid(*sides)


def grid_bounds(
    grid: DifferenceGrid, *, margin: float, significance: float
) -> tuple[Floats, Floats]:
    """Return the lower and the upper bound: each holds at all looks with 1 - significance.

    A bound moves only as far as every difference on its way was refuted; -1 and 1 are no bound.
    """
    differences, goal = grid_of(margin), -np.log(significance)
    below = np.cumprod(grid.excess >= goal, axis=-1).sum(axis=-1)
    above = np.cumprod(np.flip(grid.shortfall, -1) >= goal, axis=-1).sum(axis=-1)
    lower = np.concatenate([[-1.0], differences])[below]
    upper = np.concatenate([[1.0], differences[::-1]])[above]
    return lower, upper


def _rates_under(differences: Floats, before: Totals) -> tuple[Floats, Floats]:
    # Rates of champion and candidate that fit the data so far and differ as the hypothesis says.
    pooled = before.pooled_rate()[..., None]
    share = before.candidate_answers / np.maximum(
        1.0, before.champion_answers + before.candidate_answers
    )
    champion = np.clip(
        pooled - differences * share[..., None],
        np.maximum(0.0, -differences) + _EDGE,
        np.minimum(1.0, 1 - differences) - _EDGE,
    )
    return champion, champion + differences


def _gain(block: Block, rates: tuple[Floats, Floats], excess: Floats, sign: int) -> Floats:
    # Growth of the logarithm of the wealth; the sign is that of the difference that is bet on.
    champion_rate, candidate_rate = rates
    of_candidate = (block.champion_answers / block.answers)[..., None]
    of_champion = 1 - of_candidate
    variance = of_candidate * candidate_rate * (1 - candidate_rate)
    variance = variance + of_champion * champion_rate * (1 - champion_rate)
    if sign > 0:
        worst = np.maximum(of_candidate * candidate_rate, of_champion * (1 - champion_rate))
    else:
        worst = np.maximum(of_candidate * (1 - candidate_rate), of_champion * champion_rate)
    stake = np.clip(sign * excess / variance, 0, _LARGEST_STAKE / worst) * sign
    gained = _log_growth(
        stake * of_candidate, candidate_rate, block.candidate_answers, block.candidate_events
    )
    return gained + _log_growth(
        -stake * of_champion, champion_rate, block.champion_answers, block.champion_events
    )


def _log_growth(stake: Floats, rate: Floats, answers: Ints, events: Ints) -> Floats:
    with_event, without = events[..., None], (answers - events)[..., None]
    return np.asarray(with_event * np.log1p(stake * (1 - rate)) + without * np.log1p(-stake * rate))
