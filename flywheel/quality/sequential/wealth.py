"""`advance`: one step of an e-process whose bets are planned for a number of observations.

An e-process is the wealth of a gambler who bets against a null hypothesis, starting with 1. If the
null hypothesis holds, it ever reaches 1/alpha with a probability of at most alpha (Ville 1939), so
it may be looked at at any time.

Most of the wealth follows the plan: it is the chance, under the null hypothesis, that the score
still reaches the limit of the planned sample, over alpha. That is the test induced by a flat
(O'Brien-Fleming) limit, which loses next to no power against one look at the end. The rest follows
the effect as estimated so far; it finds large effects sooner and goes on after the planned sample.

Each payoff grows with the outcome and has the expectation of the wealth that was bet, exactly under
the boundary of the null hypothesis and at most elsewhere. Where it would pass the goal, it is
cut and the rest is paid to the other outcomes.

Sources: Koning and van Meer (2026), Anytime validity is free: inducing sequential tests, Journal of
the Royal Statistical Society B, doi:10.1093/jrsssb/qkag050 (arXiv:2501.03982); Browne (1999),
Reaching goals by a deadline: digital options and continuous-time active portfolio management,
Advances in Applied Probability 31, 551-577.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_LEFT", "REACHED", "Floats", "Outcomes", "Wealth", "advance", "initial_wealth"]

Floats = NDArray[np.float64]
# The share that follows the estimate costs power at the planned sample, a point for a tenth.
_OPEN_SHARE = 0.05
# The plan is never nearer its end than this share of what was seen: it can go on after it.
LEAST_LEFT = 0.05
# The goal, less what rounding may take from a payoff that is cut at it.
REACHED = 1 - 1e-9
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Wealth:
    """Wealth of an e-process, as shares of its goal 1/alpha; it rejects at `REACHED`.

    Both are arrays of one shape, or plain numbers: any number of processes advance together.
    """

    planned: Floats
    following: Floats

    @property
    def total(self) -> Floats:
        """Share of the goal that was reached: e-value times alpha."""
        return self.planned + self.following


@dataclass(frozen=True)
class Outcomes:
    """What a block of observations can show, under the boundary of the null hypothesis.

    Arrays end with an axis of outcomes, in growing order of evidence against the hypothesis;
    ``chances`` are probabilities, 0 for what cannot happen; ``scores`` have mean 0.
    """

    chances: Floats
    scores: Floats

    @property
    def variance(self) -> Floats:
        """Variance of the score in this block."""
        return np.asarray((self.chances * self.scores**2).sum(axis=-1))


def initial_wealth(significance: float, shape: tuple[int, ...] = ()) -> Wealth:
    """Return the wealth before the first observation."""
    return Wealth(
        np.full(shape, significance * (1 - _OPEN_SHARE)), np.full(shape, significance * _OPEN_SHARE)
    )


def advance(
    wealth: Wealth, outcomes: Outcomes, observed: NDArray[np.int64], *, left: Floats, tilt: Floats
) -> Wealth:
    """Return the wealth after a block; one that has reached its goal stays as it is.

    Args:
        wealth: before the block.
        outcomes: of the block.
        observed: index of the outcome that was observed.
        left: variance of the score that the plan still had before this block.
        tilt: log-odds effect that was estimated before this block, at least 0.
    """
    following = wealth.following[..., None] * _likelihood_ratio(outcomes, tilt)
    room = np.maximum(0.0, 1 - following)
    planned = _share_out(
        outcomes.chances, _chance_of_goal(wealth.planned, outcomes, left), room, wealth.planned
    )
    at = observed[..., None]
    done = wealth.total >= REACHED
    return Wealth(
        np.where(done, wealth.planned, np.take_along_axis(planned, at, -1)[..., 0]),
        np.where(done, wealth.following, np.take_along_axis(following, at, -1)[..., 0]),
    )


def _likelihood_ratio(outcomes: Outcomes, tilt: Floats) -> Floats:
    possible = outcomes.chances > 0
    exponent = np.where(possible, tilt[..., None] * outcomes.scores, -np.inf)
    ratio = np.exp(exponent - exponent.max(axis=-1, keepdims=True))
    return np.asarray(ratio / (outcomes.chances * ratio).sum(axis=-1, keepdims=True))


def _chance_of_goal(share: Floats, outcomes: Outcomes, left: Floats) -> Floats:
    # Chance that a random walk from here reaches the limit before the plan ends, by the reflection
    # principle. The distance to the limit follows from the same chance before the block.
    from scipy.special import ndtr, ndtri

    share = np.clip(share, 1e-300, REACHED)
    distance = -ndtri(share / 2) * np.sqrt(left)
    after = np.sqrt(np.maximum(left - outcomes.variance, _NEGLIGIBLE))
    missing = (distance[..., None] - outcomes.scores) / after[..., None]
    return np.asarray(np.clip(2 * ndtr(-missing), _NEGLIGIBLE, 1.0))


def _share_out(chances: Floats, value: Floats, room: Floats, stake: Floats) -> Floats:
    # Payoffs in proportion to the value, cut at the room, whose expectation is the stake. The value
    # grows and the room shrinks with the outcome, so that those that are cut are the last ones.
    cut = np.flip(np.cumsum(np.flip(chances * room, -1), -1), -1) - chances * room
    uncut = np.cumsum(chances * value, -1)
    factor = np.maximum(0.0, stake[..., None] - cut) / np.maximum(uncut, 1e-300)
    fits = factor * value <= room
    last = fits.shape[-1] - 1 - np.argmax(np.flip(fits, -1), -1)
    chosen = np.take_along_axis(factor, last[..., None], -1)
    outcome = np.arange(value.shape[-1])
    return np.where(outcome <= last[..., None], np.minimum(room, chosen * value), room)
