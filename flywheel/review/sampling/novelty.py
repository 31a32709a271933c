"""New kinds of text: groups of similar answers that lie far from everything people were asked."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flywheel.similarity.sentence_vectors import Vectors, nearest_similarity

__all__ = ["NovelText", "find_novel"]

# A text counts as novel when the nearest known text is less similar than it is for 19 of 20 known
# texts among themselves; the bar is measured on at most this many of them, and on no fewer than 20.
_QUANTILE, _BAR_SAMPLE, _BAR_MINIMUM = 0.05, 1000, 20
# A text that is like nothing else at all is an outlier, and teaches nothing about others.
_GROUP = 3
# Most texts compared with each other: a new kind is seen in a part of its texts as well.
_COMPARED = 3000


@dataclass(frozen=True)
class NovelText:
    """A text by its number, its cosine with the nearest known text, and how many are like it."""

    number: int
    similarity: float
    group: int


def find_novel(vectors: Vectors, references: Vectors) -> Iterator[NovelText]:
    """Yield texts of new kinds: the middle of the largest group first, then of the next.

    A text covers those that are as similar to it as known texts are to their nearest. Each choice
    covers the most texts that no choice covers yet, until no three are left that belong together.
    Source: Yehuda et al. (2022), Active learning through a covering lens. Nothing is yielded where
    fewer than 20 texts are known.

    Args:
        vectors: unit vectors of the texts to choose from.
        references: unit vectors of the texts that people judged or were asked about.
    """
    bar = _novelty_bar(references)
    if bar is None or not len(vectors):
        return
    similarity = nearest_similarity(vectors, references)
    far = np.flatnonzero(similarity < bar)
    far = far[:: max(1, -(-len(far) // _COMPARED))]
    alike = np.round(vectors[far] @ vectors[far].T, 4) >= bar
    open_ = np.ones(len(far), dtype=bool)
    sizes = alike.sum(axis=1)
    while len(far):
        best = int(sizes.argmax())
        if sizes[best] < _GROUP:
            return
        yield NovelText(int(far[best]), float(similarity[far[best]]), int(sizes[best]))
        covered = open_ & alike[best]
        sizes = sizes - alike[:, covered].sum(axis=1)
        open_ &= ~covered


def _novelty_bar(references: Vectors) -> float | None:
    if len(references) < _BAR_MINIMUM:
        return None
    step = max(1, len(references) // _BAR_SAMPLE)
    sample = references[::step]
    among = sample @ sample.T
    np.fill_diagonal(among, -1)
    return float(np.quantile(among.max(axis=1), _QUANTILE))
