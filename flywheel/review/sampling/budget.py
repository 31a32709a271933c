"""How many items a budget of judgments pays for, how many twice, and how the slices split them."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

__all__ = ["CHOICE_COST", "JudgedTwice", "drawn_part", "items_for", "part_of", "split"]

# An overlapped item costs a second judgment, and one more is held back for its adjudication.
_OVERLAP_COST = 2
CHOICE_COST = _OVERLAP_COST
_ROUNDING = 1e-9


@dataclass(frozen=True)
class JudgedTwice:
    """The items of a period, and those that two people judge.

    Gold items, adjudications and directed items are not among them. ``answered`` are those that were judged;
    ``drawn_twice`` were drawn at random for two people, and ``chosen`` got their second judgment
    because the first one was in doubt.
    """

    items: int = 0
    answered: int = 0
    drawn_twice: int = 0
    drawn_twice_answered: int = 0
    chosen: int = 0

    def now(self, overlap: float) -> int:
        """Return how many of the answered items can be chosen for a second judgment."""
        return max(0, self._allowed(overlap) - self.chosen)

    def later(self, overlap: float) -> int:
        """Return how many items can still be chosen once the others are answered.

        What is not needed for the answered ones is not kept: their share is free again.
        """
        if self.answered == self.items:
            return 0
        at_most = ceil(overlap * self.items - _ROUNDING) - self.drawn_twice
        return max(0, at_most - max(self.chosen, self._allowed(overlap)))

    def _allowed(self, overlap: float) -> int:
        return floor(overlap * self.answered + _ROUNDING) - self.drawn_twice_answered


def drawn_part(twice: int, *, overlap: float, random_share: float, chance: float) -> int:
    """Return how many of the items that two people judge are drawn at random.

    Args:
        twice: items that a batch can have judged by two people.
        overlap: their share of all items; the more of them exceed a half, the fewer are chosen: where
            everything is judged twice there is nothing to choose.
        random_share: of them, what is drawn; the others are chosen by the first judgments.
        chance: that of `part_of`.
    """
    return part_of(twice, max(random_share, 2 * overlap - 1), chance)


def part_of(total: int, share: float, chance: float) -> int:
    """Return a share of ``total`` as a whole number, which over many batches is right on average.

    Args:
        total: of which the share is taken.
        share: from 0 to 1.
        chance: in [0, 1), drawn for the batch: what is left over counts as one with its own
            probability. A batch of five would else never hold a share of 0.05.
    """
    return floor(total * share + chance)


def items_for(budget: int, overlap: float, chance: float) -> tuple[int, int]:
    """Return how many items a budget pays for, and how many of them are judged by two people.

    The adjudication of every overlapped item is paid for in advance, so that a disagreement never
    breaks the budget; what was not needed is there again for the next batch. ``chance`` is that of
    ``part_of``.
    """
    share = overlap / (1 + _OVERLAP_COST * overlap)  # of the judgments
    twice = min(part_of(budget, share, chance), budget // (1 + _OVERLAP_COST))
    items = budget - _OVERLAP_COST * twice
    while floor(items * overlap) > twice:  # what cannot be paid for twice is not asked at all
        items -= 1
    return items, twice


def split(total: int, weights: Mapping[str, float], chance: float) -> dict[str, int]:
    """Split ``total`` by weight into whole numbers, which over many batches are right on average.

    The parts are the steps of the running sum, shifted by one ``chance`` and rounded down
    (systematic rounding, Madow 1949): each is within one of its exact value and has it as its
    expectation, and together they are ``total``. Where the largest remainder decided, a share of
    0.1 of four judgments a day was none in every batch.

    Args:
        total: what is split.
        weights: of each part; they need not add up to one.
        chance: in [0, 1), drawn for the batch.
    """
    weight_sum = sum(weights.values())
    if total <= 0 or weight_sum <= 0:
        return dict.fromkeys(weights, 0)
    parts, running, before = {}, 0.0, 0
    for name, weight in weights.items():
        running += weight
        # The last step ends at the total, whatever the sum of the weights was rounded to.
        reached = total if running >= weight_sum else floor(total * running / weight_sum + chance)
        parts[name], before = reached - before, reached
    return parts
