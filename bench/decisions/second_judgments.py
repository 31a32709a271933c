"""Figures of the decision on second judgments: errors found by them, and whether agreement is honest.

Simulated people of different care label items whose labels come in confusable pairs, beside a model
whose confidence is calibrated. A tenth of the items is judged twice: all of them drawn at random as
before, or a small part drawn and the others chosen by the first judgments, as they come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from bench.figure import Figure
from flywheel.review.merging.agreement import krippendorff_alpha
from flywheel.review.sampling.budget import JudgedTwice, drawn_part
from flywheel.review.sampling.doubt import GivenAnswer, error_rates, most_doubtful
from flywheel.simulation.spread import spread_of
from flywheel.workload.sections import ReviewPolicy

__all__ = ["Play", "measure", "play"]

_SEEDS = tuple(range(40))
_ITEMS, _LABELS, _MERGE_EVERY, _GOLD_EACH = 1000, 20, 50, 15
_CARE = {"ann": 0.02, "ben": 0.03, "cleo": 0.05, "dan": 0.15}  # share of wrong judgments
_HARD_LABELS, _HARD = 6, 2.5  # labels on which everybody errs more often
_TAKEN_FOR_ITS_LIKE = 0.7


@dataclass(frozen=True)
class Play:
    """What came of one simulation.

    ``found`` and ``judgments`` are wrong first answers that were judged again, and all that were, by
    choice; ``alpha`` is measured on the drawn items, ``alpha_all_twice`` on drawn and chosen ones,
    and ``alpha_true`` would be measured if everything were judged twice.
    """

    wrong: float
    found: int
    judgments: int
    alpha: float | None
    alpha_all_twice: float | None
    alpha_true: float | None

    @property
    def precision(self) -> float:
        """Share of the chosen answers that are wrong."""
        return self.found / self.judgments


@dataclass(frozen=True)
class _Item:
    truth: int
    first: tuple[str, int]
    second: int
    model: int
    confidence: float


def measure() -> list[Figure]:
    """Play every seed and compare choice with chance."""
    plays = [play(seed) for seed in _SEEDS]
    chosen = fmean(one.precision for one in plays)
    chance = fmean(one.wrong for one in plays)
    drawn = _bias(plays, [one.alpha for one in plays])
    everything = _bias(plays, [one.alpha_all_twice for one in plays])
    error = spread_of(drawn).half_width or 0.0
    return [
        Figure(
            "wrong labels that a second judgment meets (share of second judgments)",
            f"{chance:.3f} (at random)",
            f"{chosen:.3f} (chosen)",
            "3 times as many",
            chosen >= 3 * chance,
        ),
        Figure(
            "bias of alpha on the items drawn at random (on all that are judged twice)",
            "0 by design",
            f"{fmean(drawn):+.3f} ± {error:.3f} ({fmean(everything):+.3f})",
            "0 within its interval",
            abs(fmean(drawn)) <= error,
        ),
    ]


def _bias(plays: Sequence[Play], alphas: Sequence[float | None]) -> list[float]:
    return [
        alpha - one.alpha_true
        for one, alpha in zip(plays, alphas, strict=True)
        if alpha is not None and one.alpha_true is not None
    ]


def play(seed: int) -> Play:
    """Label a period's items, a batch at a time; same seed, same outcome."""
    rng = Random(seed)  # noqa: S311 - simulation
    items = [_item(rng) for _ in range(_ITEMS)]
    policy = ReviewPolicy()
    twice = round(policy.overlap * _ITEMS)
    part = drawn_part(
        twice,
        overlap=policy.overlap,
        random_share=policy.overlap_random,
        chance=rng.random(),
    )
    drawn = set(rng.sample(range(_ITEMS), part))
    chosen = _chosen(items, drawn, policy.overlap, rng)
    wrong = [items[n].first[1] != items[n].truth for n in range(_ITEMS)]
    return Play(
        wrong=fmean(wrong),
        found=sum(wrong[n] for n in chosen),
        judgments=len(chosen),
        alpha=_alpha(items, drawn),
        alpha_all_twice=_alpha(items, drawn | chosen),
        alpha_true=_alpha(items, set(range(_ITEMS))),
    )


def _chosen(items: Sequence[_Item], drawn: set[int], overlap: float, rng: Random) -> set[int]:
    gold = [(name, rng.random() >= rate) for name, rate in _CARE.items() for _ in range(_GOLD_EACH)]
    chosen: set[int] = set()
    for end in range(_MERGE_EVERY, _ITEMS + 1, _MERGE_EVERY):
        counts = JudgedTwice(
            items=_ITEMS,
            answered=end,
            drawn_twice=len(drawn),
            drawn_twice_answered=sum(number < end for number in drawn),
            chosen=len(chosen),
        )
        judged = [n for n in range(end) if n in drawn or n in chosen]
        people = [(items[n].first[0], _right(items[n])) for n in judged if n in drawn]
        labels = [(str(items[n].first[1]), _right(items[n])) for n in judged]
        open_ = [_given(n, items[n]) for n in range(end) if n not in drawn and n not in chosen]
        rates = error_rates([*gold, *people], labels)
        worst = most_doubtful(open_, rates, counts.now(overlap))
        chosen |= {int(answer.name) for answer, _ in worst}
    return chosen


def _right(item: _Item) -> bool:
    return item.first[1] == item.truth


def _given(number: int, item: _Item) -> GivenAnswer:
    name, said = item.first
    return GivenAnswer(f"{number:05d}", name, str(said), said == item.model, item.confidence)


def _item(rng: Random) -> _Item:
    truth = rng.randrange(_LABELS)
    first, second = rng.sample(sorted(_CARE), 2)
    confidence = rng.betavariate(4, 1.5)
    model = truth if rng.random() < confidence else _mistaken(truth, rng)
    return _Item(
        truth=truth,
        first=(first, _said(first, truth, rng)),
        second=_said(second, truth, rng),
        model=model,
        confidence=confidence,
    )


def _said(name: str, truth: int, rng: Random) -> int:
    rate = _CARE[name] * (_HARD if truth < _HARD_LABELS else 1)
    return _mistaken(truth, rng) if rng.random() < rate else truth


def _mistaken(truth: int, rng: Random) -> int:
    if rng.random() < _TAKEN_FOR_ITS_LIKE:
        return truth ^ 1
    return rng.choice([label for label in range(_LABELS) if label != truth])


def _alpha(items: Sequence[_Item], numbers: set[int]) -> float | None:
    units = [[str(items[n].first[1]), str(items[n].second)] for n in sorted(numbers)]
    return krippendorff_alpha(units).alpha
