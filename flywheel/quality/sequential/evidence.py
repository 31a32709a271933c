"""`MetricEvidence`: what is known of one guard metric, as a value that is updated by each minute.

It holds sums and the wealth of the bets, not the minutes themselves, and is written as JSON: a
process that is started again goes on with the same evidence.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property

import msgspec
import numpy as np

from flywheel.errors import ConfigurationError, DataError
from flywheel.quality.sequential.counts import (
    ArmCounts,
    Block,
    Totals,
    block_of,
    conditional_outcomes,
)
from flywheel.quality.sequential.difference import (
    DifferenceGrid,
    advance_grid,
    grid_bounds,
    initial_grid,
)
from flywheel.quality.sequential.wealth import (
    LEAST_LEFT,
    REACHED,
    Wealth,
    advance,
    initial_wealth,
)

__all__ = ["MetricEvidence", "MetricPlan", "advance_direction"]


@dataclass(frozen=True)
class MetricPlan:
    """What is stated before the first answer; rates and shares are in [0, 1].

    Attributes:
        margin: difference of the rates within which both arms are equivalent.
        champion_answers: answers of the champion that the canary is planned for.
        candidate_answers: answers of the candidate that it is planned for.
        metrics: number of guard metrics that are looked at together.
        significance: chance of a false alarm in all metrics and looks together.
    """

    margin: float
    champion_answers: int
    candidate_answers: int
    metrics: int = 1
    significance: float = 0.05

    def __post_init__(self) -> None:
        if not (0 < self.margin < 1 and 0 < self.significance < 1):
            raise ConfigurationError(
                f"A margin of {self.margin} and a significance of {self.significance} were given.",
                next_step="give shares between 0 and 1, for example 0.02 and 0.05",
            )
        if min(self.champion_answers, self.candidate_answers, self.metrics) < 1:
            raise ConfigurationError(
                "A canary cannot be planned for no answers or no metric.",
                next_step="plan at least one answer an arm and one metric",
            )

    @property
    def share(self) -> float:
        """Significance of this metric alone."""
        return self.significance / self.metrics

    @property
    def information(self) -> float:
        """Half the harmonic mean of the planned answers."""
        total = self.champion_answers + self.candidate_answers
        return self.champion_answers * self.candidate_answers / total


@dataclass(frozen=True)
class MetricEvidence:
    """Evidence on one metric whose events are bad (errors, invalid answers, slow answers).

    ``worse`` and ``better`` are (planned, following) wealth, as shares of the goal; ``excess`` and
    ``shortfall`` are logarithms of the wealth of the confidence sequence.
    """

    plan: MetricPlan
    totals: tuple[float, ...]
    worse: tuple[float, float]
    better: tuple[float, float]
    excess: tuple[float, ...]
    shortfall: tuple[float, ...]

    @classmethod
    def start(cls, plan: MetricPlan) -> "MetricEvidence":
        """Return the evidence before the first answer."""
        wealth, grid = initial_wealth(plan.share), initial_grid(plan.margin)
        start = (float(wealth.planned), float(wealth.following))
        bets = tuple(grid.excess.tolist())
        return cls(plan, tuple(map(float, Totals.zero())), start, start, bets, bets)

    def add(self, champion: ArmCounts, candidate: ArmCounts) -> "MetricEvidence":
        """Return the evidence with one more minute; one in which an arm was silent adds nothing."""
        if not champion.answers or not candidate.answers:
            return self
        plan, block = self.plan, block_of(champion, candidate)
        before = Totals(*map(np.asarray, self.totals))
        grid = advance_grid(
            DifferenceGrid(np.array(self.excess), np.array(self.shortfall)),
            block,
            before,
            margin=plan.margin,
            significance=plan.significance,
        )
        return replace(
            self,
            totals=tuple(map(float, before.add(block))),
            worse=_numbers(advance_direction(_wealth(self.worse), block, before, plan)),
            better=_numbers(
                advance_direction(_wealth(self.better), block, before, plan, better=True)
            ),
            excess=tuple(grid.excess.tolist()),
            shortfall=tuple(grid.shortfall.tolist()),
        )

    @property
    def worse_share(self) -> float:
        """E-value against "not worse", times this metric's significance."""
        return sum(self.worse)

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is shown to be worse on this metric alone."""
        return self.worse_share >= REACHED

    @property
    def better_share(self) -> float:
        """E-value against "not better", times this metric's significance."""
        return sum(self.better)

    @property
    def is_better(self) -> bool:
        """Whether the candidate is shown to be better on this metric."""
        return self.better_share >= REACHED

    @property
    def is_equivalent(self) -> bool:
        """Whether the whole confidence sequence lies inside the margin."""
        lower, upper = self.interval
        return -self.plan.margin <= lower and upper <= self.plan.margin

    @property
    def difference(self) -> float | None:
        """Rate of the candidate minus the champion's in the same minutes; None before any."""
        information, score = self.totals[4], self.totals[5]
        return score / information if information else None

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Confidence sequence of the difference; each bound holds at all looks together.

        The bounds are points of a grid (multiples of half the margin near 0), without a correction
        for the number of metrics. A metric that is shown to be worse or better by itself has 0 as
        its bound at least.
        """
        grid = DifferenceGrid(np.array(self.excess), np.array(self.shortfall))
        lower, upper = grid_bounds(
            grid, margin=self.plan.margin, significance=self.plan.significance
        )
        return (
            max(float(lower), 0.0) if self.is_worse else float(lower),
            min(float(upper), 0.0) if self.is_better else float(upper),
        )

    def to_json(self) -> str:
        """Return the evidence as JSON; `from_json` reads it back without loss."""
        return msgspec.json.encode(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: str, plan: MetricPlan) -> "MetricEvidence":
        """Read evidence that was gathered under this plan.

        Raises:
            DataError: it is not evidence, or was gathered under another plan.
        """
        try:
            evidence = msgspec.json.decode(text, type=cls)
        except (msgspec.DecodeError, ConfigurationError) as error:
            raise DataError(
                f"The evidence of a canary cannot be read: {error}",
                next_step="start the canary again; its evidence starts with it",
            ) from error
        start = cls.start(plan)
        if evidence.plan != plan or any(
            len(getattr(evidence, name)) != len(getattr(start, name))
            for name in ("totals", "excess", "shortfall")
        ):
            raise DataError(
                "The evidence of a canary was gathered under another plan.",
                next_step="start the canary again: margin, sample and metrics are stated before",
            )
        return evidence


def advance_direction(
    wealth: Wealth, block: Block, before: Totals, plan: MetricPlan, *, better: bool = False
) -> Wealth:
    """Return the wealth against "the candidate is not worse" (or "not better") after a block."""
    # The events of the block may be used: the test is conditional on their number.
    rate = before.add(block).pooled_rate()
    score = before.score
    if better:
        # The same test with the arms exchanged.
        block, score = Block(*block[2:], *block[:2]), -score
    variance = rate * (1 - rate)
    left = np.maximum(plan.information - before.information, LEAST_LEFT * before.information)
    left = np.maximum(left, block.information)
    # From a normal prior around 0 whose standard deviation is a margin and a half.
    tilt = score / (before.information * variance + variance**2 / (1.5 * plan.margin) ** 2)
    return advance(
        wealth,
        conditional_outcomes(block),
        np.asarray(block.candidate_events),
        left=np.asarray(left * variance),
        tilt=np.maximum(0.0, tilt),
    )


def _wealth(numbers: tuple[float, float]) -> Wealth:
    return Wealth(*(np.asarray(number) for number in numbers))


def _numbers(wealth: Wealth) -> tuple[float, float]:
    return float(wealth.planned), float(wealth.following)
