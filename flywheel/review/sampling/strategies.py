"""Strategies: the order in which uncertain answers are asked about, one pure function each.

``STRATEGIES`` has them by the name that a workload's `review.strategy` gives. Which answers count
as uncertain, repeated texts and the budget are left to `sampling`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flywheel.similarity.clusters import Labels, cluster_vectors
from flywheel.similarity.sentence_vectors import Vectors
from flywheel.workload.sections import StrategyName

__all__ = [
    "STRATEGIES",
    "Answers",
    "Strategy",
    "calibrated_margin",
    "calibrated_margins",
    "cluster_margin",
    "least_confident",
    "margin_between",
    "margins_between",
    "random_order",
    "smallest_margin",
]

Numbers = npt.NDArray[np.float64]
_DIGITS = 6
# How many times as many answers as questions are pooled: the smallest margins alone repeat
# themselves. Ten times, as in the paper, is the whole of a thin window (on BANKING77's training rows
# a point less). A batch of a few questions still needs more than one kind of text.
_POOL, _SMALLEST_POOL = 3, 50
_MOST_CLUSTERS = 1000  # a larger batch takes several of each, within seconds
_CERTAIN = 1e-9


@dataclass(frozen=True)
class Answers:
    """The answers that may be asked about, one row each: calibrated figures and unit vectors.

    ``times`` counts how often each text came in the window; None where every text is its own.
    """

    confidence: Numbers
    margin: Numbers
    vectors: Vectors
    times: Numbers | None = None


Strategy = Callable[[Answers, int, int], list[int]]
"""(answers, how many will be asked, seed) -> the numbers of all answers, the first to ask first."""


def cluster_margin(answers: Answers, count: int, seed: int) -> list[int]:
    """Spread the smallest margins over clusters of sentence vectors, the smallest cluster first.

    The pool of the smallest margins is cut into as many clusters as questions will be asked, and
    asked about in turns, so that a rare kind of text has its turn as a frequent one does. What lies
    outside the pool follows by margin. Source: Citovsky et al. (2021), Batch active learning at
    scale; k-means over the pool stands for their agglomerative clusters over all texts, whose
    threshold would be one more setting. A text that came often counts for more: doubt is weighted by
    the root of how often (information density, Settles and Craven 2008, with the repeats of a text
    as its density: mean similarity to other texts did worse than none on SNIPS).
    """
    order = _by_weighted_doubt(answers)
    pool = order[: max(_SMALLEST_POOL, _POOL * count)]
    labels = cluster_vectors(answers.vectors[pool], min(count, _MOST_CLUSTERS), seed)
    return [*_in_turns(pool, labels), *order[len(pool) :]]


def _by_weighted_doubt(answers: Answers) -> list[int]:
    if answers.times is None:
        return smallest_margin(answers, 0, 0)
    doubt = np.round((1 - answers.margin) * np.sqrt(answers.times), _DIGITS)
    ranked = np.lexsort((np.round(answers.confidence, _DIGITS), -doubt))
    return [int(number) for number in ranked]


def smallest_margin(answers: Answers, _count: int, _seed: int) -> list[int]:
    """Order by margin: the answer that was nearly another one first."""
    ranked = np.lexsort((np.round(answers.confidence, _DIGITS), np.round(answers.margin, _DIGITS)))
    return [int(number) for number in ranked]


def least_confident(answers: Answers, _count: int, _seed: int) -> list[int]:
    """Order by confidence, the lowest first."""
    ranked = np.argsort(np.round(answers.confidence, _DIGITS), kind="stable")
    return [int(number) for number in ranked]


def random_order(answers: Answers, _count: int, seed: int) -> list[int]:
    """Order at random."""
    ranked = np.random.default_rng(seed).permutation(len(answers.margin))
    return [int(number) for number in ranked]


STRATEGIES: Mapping[StrategyName, Strategy] = {
    "cluster_margin": cluster_margin,
    "smallest_margin": smallest_margin,
    "least_confident": least_confident,
    "random": random_order,
}


def margin_between(confidence: float, margin: float | None) -> float:
    """Return the margin, or the middle of what it can be where only the confidence was reported.

    The runner-up of an answer has a probability between nothing and the smaller of the answer's
    own and what is left, so that the order of answers without a margin is that of confidence.
    """
    return confidence - min(confidence, 1 - confidence) / 2 if margin is None else margin


def calibrated_margin(confidence: float, margin: float | None, calibrated: float) -> float | None:
    """Return the margin once calibration has moved the answer's own probability.

    What the answer loses or gains, the other answers gain or lose in proportion to theirs.

    Args:
        confidence: of the model, in [0, 1].
        margin: of the model, in [0, 1]; None stays None.
        calibrated: what the confidence was calibrated to.
    """
    if margin is None:
        return None
    others = 1 - confidence
    if others < _CERTAIN:
        return calibrated
    return min(1.0, max(0.0, 1 - (1 - margin) * (1 - calibrated) / others))


def calibrated_margins(confidence: Numbers, margin: Numbers, calibrated: Numbers) -> Numbers:
    """Return what `calibrated_margin` returns, for many; a margin that is not reported is NaN."""
    others = 1 - confidence
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.clip(1 - (1 - margin) * (1 - calibrated) / others, 0.0, 1.0)
    return np.where(np.isnan(margin), margin, np.where(others < _CERTAIN, calibrated, moved))


def margins_between(confidence: Numbers, margin: Numbers) -> Numbers:
    """Return what `margin_between` returns, for many; a margin that is not reported is NaN."""
    middle = confidence - np.minimum(confidence, 1 - confidence) / 2
    return np.where(np.isnan(margin), middle, margin)


def _in_turns(pool: Sequence[int], labels: Labels) -> list[int]:
    # One of each cluster at a time, smallest cluster first; within a cluster as the pool is ordered.
    members: dict[int, list[int]] = {}
    for number, label in zip(pool, labels, strict=True):
        members.setdefault(int(label), []).append(number)
    clusters = sorted(members.values(), key=len)
    turns = [
        (turn, place, number)
        for place, cluster in enumerate(clusters)
        for turn, number in enumerate(cluster)
    ]
    return [number for _, _, number in sorted(turns)]
