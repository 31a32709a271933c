"""`alarms` and `intervals`: many simulated canaries at once, by the functions that production calls.

Events are drawn minute by minute from the rates of both arms; every canary is looked at after every
minute.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flywheel.quality.sequential.counts import Block, Totals
from flywheel.quality.sequential.difference import advance_grid, grid_bounds, initial_grid
from flywheel.quality.sequential.evidence import MetricPlan, advance_direction
from flywheel.quality.sequential.wealth import REACHED, initial_wealth

__all__ = ["Canary", "alarms", "intervals", "z_alarms"]

_SEED = 13
Looks = NDArray[np.int64]
Blocks = Iterator[tuple[Block, Totals]]


@dataclass(frozen=True)
class Canary:
    """What is simulated; a rate is one number, or one for each look.

    ``looks`` looks divide the answers evenly; ``subjects`` of each arm send the same number of
    answers each, with rates that differ by ``correlation`` within a subject; 0 subjects: answers
    are independent.
    """

    champion: float | Sequence[float] = 0.05
    candidate: float | Sequence[float] = 0.05
    champion_answers: int = 1000
    candidate_answers: int = 1000
    looks: int = 100
    runs: int = 1000
    margin: float = 0.02
    metrics: int = 1
    subjects: int = 0
    correlation: float = 0.0

    @property
    def plan(self) -> MetricPlan:
        """Plan of every metric."""
        return MetricPlan(
            self.margin, self.champion_answers, self.candidate_answers, metrics=self.metrics
        )


def alarms(canary: Canary, *, harmed: int = 1) -> Looks:
    """Return the look at which each run is judged worse, 0 for never.

    The first ``harmed`` metrics have the candidate's rate, the others the champion's.
    """
    shares = np.zeros((canary.metrics, canary.looks, canary.runs))
    for metric in range(canary.metrics):
        rate = canary.candidate if metric < harmed else canary.champion
        drawn = _blocks(replace(canary, candidate=rate), _SEED + metric)
        wealth = initial_wealth(canary.plan.share, (canary.runs,))
        for look, (block, before) in enumerate(drawn):
            wealth = advance_direction(wealth, block, before, canary.plan)
            shares[metric, look] = wealth.total
    return _first(shares.sum(axis=0) >= REACHED)


def z_alarms(canary: Canary, *, limit: float = 1.96) -> tuple[Looks, NDArray[np.bool_]]:
    """Return the look at which a pooled two-sided z-test first rejects, and the last look's."""
    rejected = np.zeros((canary.looks, canary.runs), bool)
    for look, (block, before) in enumerate(_blocks(canary, _SEED)):
        after = before.add(block)
        rate = (after.champion_events + after.candidate_events) / (
            after.champion_answers + after.candidate_answers
        )
        difference = (
            after.candidate_events / after.candidate_answers
            - after.champion_events / after.champion_answers
        )
        variance = rate * (1 - rate) * (1 / after.candidate_answers + 1 / after.champion_answers)
        rejected[look] = np.abs(difference) > limit * np.sqrt(variance)
    return _first(rejected), rejected[-1]


def intervals(canary: Canary) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of the confidence sequence at every look; arrays (looks, runs)."""
    plan, grid = canary.plan, initial_grid(canary.margin, (canary.runs,))
    bounds = np.zeros((2, canary.looks, canary.runs))
    for look, (block, before) in enumerate(_blocks(canary, _SEED)):
        grid = advance_grid(grid, block, before, margin=plan.margin, significance=plan.significance)
        bounds[:, look] = grid_bounds(grid, margin=plan.margin, significance=plan.significance)
    return bounds[0], bounds[1]


def _first(happened: NDArray[np.bool_]) -> Looks:
    return np.where(happened.any(axis=0), happened.argmax(axis=0) + 1, 0)


def _blocks(canary: Canary, seed: int) -> Blocks:
    # Each block with the sums before it.
    rng = np.random.default_rng(seed)
    totals = Totals.zero((canary.runs,))
    answers = canary.champion_answers // canary.looks, canary.candidate_answers // canary.looks
    shape = (canary.looks, canary.runs, max(1, canary.subjects))
    rates = [
        np.broadcast_to(_rates(rng, rate, canary), shape)
        for rate in (canary.champion, canary.candidate)
    ]
    for look in range(canary.looks):
        counts = []
        for number, rate in zip(answers, rates, strict=True):
            each = number // max(1, canary.subjects)
            counts += [
                np.full(canary.runs, number),
                rng.binomial(each, rate[look]).sum(axis=-1),
            ]
        block = Block(*counts)
        yield block, totals
        totals = totals.add(block)


def _rates(
    rng: np.random.Generator, rate: float | Sequence[float], canary: Canary
) -> NDArray[np.float64]:
    # Rates (looks or 1, runs or 1, subjects or 1), beta distributed between subjects.
    if not canary.subjects:
        return np.asarray(rate, float).reshape(-1, 1, 1)
    strength = 1 / canary.correlation - 1
    mean = float(np.mean(rate))
    return rng.beta(mean * strength, (1 - mean) * strength, (1, canary.runs, canary.subjects))
