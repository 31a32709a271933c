"""Clusters of unit vectors: spherical k-means, the same labels for the same seed on any machine.

scikit-learn's `KMeans` is an optional dependency here, takes a second to import and sums in an
order that depends on its threads; a batch of questions needs one run over a few thousand vectors.
"""

import numpy as np
import numpy.typing as npt

from flywheel.similarity.sentence_vectors import Vectors

__all__ = ["cluster_vectors"]

Labels = npt.NDArray[np.int64]
_ROUNDS = 20
_DIGITS = 5  # of a cosine: what differs by less is a tie, and goes to the first cluster
_NOTHING_APART = 1e-6
_BLOCK = 2048  # rows compared with all centers at once


def cluster_vectors(vectors: Vectors, count: int, seed: int) -> Labels:
    """Return the number of the cluster that each unit vector belongs to.

    Some numbers below ``count`` may not be used. Source: Dhillon and Modha (2001), Concept
    decompositions for large sparse text data; started as in Arthur and Vassilvitskii (2007).

    Args:
        vectors: shape (n, d), each of length one or zero.
        count: most clusters; fewer where fewer vectors differ.
        seed: of the start.
    """
    if not len(vectors) or count <= 1:
        return np.zeros(len(vectors), dtype=np.int64)
    centers = vectors[_starts(vectors, min(count, len(vectors)), seed)]
    labels = _nearest(vectors, centers)
    for _ in range(_ROUNDS):
        sums = np.zeros_like(centers)
        np.add.at(sums, labels, vectors)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centers = np.where(length > 0, sums / np.where(length == 0, 1, length), centers)
        moved = _nearest(vectors, centers)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels


def _nearest(vectors: Vectors, centers: Vectors) -> Labels:
    starts = range(0, len(vectors), _BLOCK)
    blocks = (vectors[start : start + _BLOCK] @ centers.T for start in starts)
    return np.concatenate([np.round(block, _DIGITS).argmax(axis=1) for block in blocks])


def _starts(vectors: Vectors, count: int, seed: int) -> list[int]:
    # Each next start is drawn by its distance from those there are.
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(vectors)))]
    distance = np.full(len(vectors), 2.0)
    while len(chosen) < count:
        similarity = np.round(vectors @ vectors[chosen[-1]], _DIGITS)
        distance = np.minimum(distance, np.clip(1.0 - similarity, 0, None))
        mass = np.cumsum(distance)
        if mass[-1] < _NOTHING_APART:
            break
        number = int(np.searchsorted(mass, rng.random() * mass[-1], side="right"))
        chosen.append(min(number, len(vectors) - 1))
    return chosen
