"""`ArmCounts` and `Totals`: how many answers of each arm had the event that a metric counts."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flywheel.errors import MeasurementError
from flywheel.quality.sequential.wealth import Floats, Outcomes

__all__ = ["ArmCounts", "Block", "Ints", "Totals", "block_of", "conditional_outcomes"]

# Events and answers that the pooled rate starts with; they only steer the bets.
_PRIOR_EVENTS, _PRIOR_ANSWERS = 0.5, 10.0
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ArmCounts:
    """Answers of one arm in one minute, and how many of them had the event (an error)."""

    answers: int
    events: int

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.answers:
            raise MeasurementError(
                f"{self.events} events among {self.answers} answers cannot be.",
                next_step="count each answer once, and its event at most once",
            )


class Block(NamedTuple):
    """Counts of both arms in the same minute: whole numbers, or arrays of one shape."""

    champion_answers: Ints
    champion_events: Ints
    candidate_answers: Ints
    candidate_events: Ints

    @property
    def answers(self) -> Ints:
        """Answers of both arms."""
        return self.champion_answers + self.candidate_answers

    @property
    def events(self) -> Ints:
        """Events of both arms."""
        return self.champion_events + self.candidate_events

    @property
    def information(self) -> Floats:
        """Half the harmonic mean of the answers: what an unbalanced block is worth."""
        return self.champion_answers * self.candidate_answers / self.answers

    @property
    def score(self) -> Floats:
        """Events of the candidate beyond its share of all events."""
        return self.candidate_events - self.events * self.candidate_answers / self.answers


def block_of(champion: ArmCounts, candidate: ArmCounts) -> Block:
    """Return the counts of a minute as a block of arrays without a dimension."""
    numbers = (champion.answers, champion.events, candidate.answers, candidate.events)
    return Block(*(np.asarray(number, np.int64) for number in numbers))


class Totals(NamedTuple):
    """Sums over all blocks so far: numbers, or arrays of one shape."""

    champion_answers: Floats
    champion_events: Floats
    candidate_answers: Floats
    candidate_events: Floats
    information: Floats
    score: Floats

    @classmethod
    def zero(cls, shape: tuple[int, ...] = ()) -> "Totals":
        """Return the sums before the first block."""
        return cls(*(np.zeros(shape) for _ in cls._fields))

    def add(self, block: Block) -> "Totals":
        """Return the sums with one block more."""
        added: tuple[Any, ...] = (*block, block.information, block.score)
        return Totals(*(np.asarray(old + new) for old, new in zip(self, added, strict=True)))

    def pooled_rate(self) -> Floats:
        """Return the event rate of both arms together, a little towards the prior."""
        events = self.champion_events + self.candidate_events + _PRIOR_EVENTS
        return np.asarray(
            events / (self.champion_answers + self.candidate_answers + _PRIOR_ANSWERS)
        )


def conditional_outcomes(block: Block) -> Outcomes:
    """Return how the events of a block fall on the candidate if both arms have the same rate.

    Given their number, the candidate's events are hypergeometric whatever the rate is (Fisher's
    exact test), so that a rate that changes from minute to minute in both arms does no harm.
    """
    from scipy.special import gammaln

    most = int(np.minimum(block.events, block.candidate_answers).max(initial=0))
    candidate_events = np.arange(most + 1)
    events, answers = block.events[..., None], block.answers[..., None]
    candidate = block.candidate_answers[..., None]
    champion, champion_events = answers - candidate, events - candidate_events

    def log_choose(total: Ints, chosen: Ints) -> Floats:
        possible = (chosen >= 0) & (chosen <= total)
        inside = np.where(possible, chosen, 0)
        ways = gammaln(total + 1) - gammaln(inside + 1) - gammaln(total - inside + 1)
        return np.where(possible, ways, -np.inf)

    log_chances = log_choose(candidate, candidate_events) + log_choose(champion, champion_events)
    chances = np.exp(log_chances - log_choose(answers, events))
    chances /= chances.sum(axis=-1, keepdims=True)
    return Outcomes(chances, candidate_events - events * candidate / answers)
