"""Figures of the confidence column beside Evidently's own, on the raw values."""

import warnings

import numpy as np
from numpy.typing import NDArray

from bench.figure import Figure
from flywheel.drift.merged import Histogram
from flywheel.drift.scores import cells_of, confidence_cells, psi

__all__ = ["evidently_figures"]

_THRESHOLD = 0.2
Vector = NDArray[np.float64]


def evidently_figures() -> list[Figure]:
    """Count how often both figures give one verdict, for models that are more or less sure."""
    agreed = {"old": 0, "new": 0}
    pairs = 0
    for mean in (1.0, 2.0, 3.0, 4.0, 5.0):
        for shift in (0.0, 0.3, 0.7, 1.2):
            for seed, sizes in enumerate(((800, 400), (4_000, 1_500), (5_000, 5_000))):
                rng = np.random.default_rng([seed, int(mean * 10), int(shift * 10)])
                old, new = (
                    1 / (1 + np.exp(-rng.normal(m, 1.0, n)))
                    for m, n in zip((mean, mean - shift), sizes, strict=True)
                )
                theirs = _evidently(old, new) >= _THRESHOLD
                fine = [_histogram(1000 + np.floor(v * 1000)) for v in (old, new)]
                coarse = [_histogram(np.floor(v * 50)) for v in (old, new)]
                cells = confidence_cells(fine[0], fine[1])
                now = psi(*(cells.vector(h) for h in fine)) >= _THRESHOLD
                cells = cells_of(coarse[0], coarse[1])
                before = psi(*(cells.vector(h) for h in coarse)) >= _THRESHOLD
                agreed["old"] += bool(before == theirs)
                agreed["new"] += bool(now == theirs)
                pairs += 1
    return [
        Figure(
            "drift: verdict on confidence agrees with Evidently's PSI of the raw values",
            f"{agreed['old'] / pairs:.0%}",
            f"{agreed['new'] / pairs:.0%}",
            "at least 95 %",
            agreed["new"] >= 0.95 * pairs,
        )
    ]


def _evidently(old: Vector, new: Vector) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType

        sides = pd.Series(old), pd.Series(new)
        test = get_stattest(*sides, ColumnType("num"), "psi")
        return float(test(*sides, ColumnType("num"), _THRESHOLD).drift_score)


def _histogram(bins: Vector) -> Histogram:
    keys, counts = np.unique(bins.astype(int), return_counts=True)
    return Histogram("numeric", {str(k): int(n) for k, n in zip(keys, counts, strict=True)})
