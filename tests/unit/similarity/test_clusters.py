"""Clusters of unit vectors: as drawn, the same each time, and whatever the vectors are."""

import numpy as np
import pytest

from flywheel.similarity.clusters import cluster_vectors


def blobs(sizes, seed=0, spread=0.05):
    """Return unit vectors around one axis per size, and the axis of each."""
    rng = np.random.default_rng(seed)
    axes = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(len(sizes), 16)[axes] + rng.normal(0, spread, (len(axes), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), axes


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_those_that_were_drawn(seed):
    """With clusters to spare none holds texts of two drawn groups, large beside small."""
    vectors, axes = blobs([40, 5, 20, 3])
    labels = cluster_vectors(vectors, 8, seed)
    pairs = set(zip(labels.tolist(), axes.tolist(), strict=True))
    assert len(pairs) == len(set(labels.tolist()))
    assert np.array_equal(labels, cluster_vectors(vectors, 8, seed))


@pytest.mark.parametrize(
    ("vectors", "count"),
    [
        (np.zeros((0, 4), np.float32), 3),
        (np.zeros((5, 4), np.float32), 3),
        (np.ones((5, 4), np.float32) / 2, 3),
        (np.eye(4, dtype=np.float32), 9),
        (np.eye(4, dtype=np.float32), 0),
    ],
)
def test_odd_inputs_have_a_label_each(vectors, count):
    """No vectors, equal ones, zero ones, and more clusters than vectors."""
    labels = cluster_vectors(vectors, count, 0)
    assert len(labels) == len(vectors)
    assert len(set(labels.tolist())) <= max(1, count)
