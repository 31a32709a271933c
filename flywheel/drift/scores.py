"""How far two histograms are apart, and how far chance alone would put them.

PSI and the Jensen-Shannon distance are those of Evidently (natural logarithm, empty cells filled
as there), so that its report and our verdict agree on the same cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2

import numpy as np
from numpy.typing import NDArray

from flywheel.drift.merged import Histogram
from flywheel.drift.profile import FINE_CONFIDENCE, OTHER_TERM, confidence_bin
from flywheel.errors import MeasurementError

__all__ = ["Cells", "cells_of", "chance", "confidence_cells", "jensen_shannon", "psi"]

_QUANTILE_CELLS = 10
_TERMS = 300
_SMALL = 0.0001
_DRAWS = 200
_EVIDENTLY_ROWS = 5_000


@dataclass(frozen=True)
class Cells:
    """Into which cells the keys of a histogram fall; keys without one share the last."""

    names: tuple[str, ...]
    cell_of: Mapping[str, int]

    def vector(self, histogram: Histogram | None) -> NDArray[np.float64]:
        """Return the counts of a histogram by cell."""
        counts = np.zeros(len(self.names), np.float64)
        for key, count in (histogram.counts if histogram else {}).items():
            counts[self.cell_of.get(key, -1)] += count
        return counts


def cells_of(reference: Histogram, current: Histogram) -> Cells:
    """Choose the cells in which two histograms are compared.

    Numeric bins are drawn together until each cell holds a tenth of the reference; every category
    is a cell; of the words the most frequent of both sides count singly.
    """
    if reference.kind == "numeric":
        return _quantile_cells(reference.counts, current.counts)
    names = sorted(set(reference.counts) | set(current.counts))
    if reference.kind == "term":
        names = [*_frequent_terms(reference.counts, current.counts), OTHER_TERM]
    return Cells(tuple(names), {name: position for position, name in enumerate(names)})


def confidence_cells(reference: Histogram, current: Histogram) -> Cells:
    """Choose equal-width cells between the smallest and the largest confidence, as Evidently does.

    Their number is that of Sturges (1926) for at most 5,000 values a side, which is what its report
    is given: the two figures stand side by side. Days profiled in bins of 0.02 are compared with
    others in those bins.
    """
    fine = all(int(key) >= FINE_CONFIDENCE for h in (reference, current) for key in h.counts)

    def number(key: str) -> int:
        return confidence_bin(int(key), fine=fine)

    bins = sorted({number(key) for h in (reference, current) for key in h.counts})
    values = sum(min(h.size, _EVIDENTLY_ROWS) for h in (reference, current))
    cells = min(ceil(log2(max(values, 2)) + 1), len(bins))
    width = (bins[-1] + 1 - bins[0]) / cells
    cell_of = {
        key: min(int((number(key) + 0.5 - bins[0]) / width), cells - 1)
        for h in (reference, current)
        for key in h.counts
    }
    cell_indices = sorted(set(cell_of.values()))
    names = tuple(f"{bins[0] + cell * width:.4g}" for cell in cell_indices)
    return Cells(names, {key: cell_indices.index(cell) for key, cell in cell_of.items()})


def psi(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Return the population stability index of two vectors of counts."""
    old, new = _filled(_shares(reference)), _filled(_shares(current))
    return float(np.sum((old - new) * np.log(old / new)))


def jensen_shannon(reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
    """Return the Jensen-Shannon distance of two vectors of counts: 0 equal, 0.83 disjoint."""
    old, new = _shares(reference), _shares(current)
    middle = (old + new) / 2
    divergence = (_relative_entropy(old, middle) + _relative_entropy(new, middle)) / 2
    return float(np.sqrt(max(divergence, 0.0)))


def chance(
    score: str, reference: NDArray[np.float64], current: NDArray[np.float64], *, seed: int
) -> float:
    """Return the score that one in a hundred pairs of samples reaches without any drift.

    Both samples are drawn from the pooled counts, each in its own size (a parametric bootstrap).
    """
    rng = np.random.default_rng(seed)
    pooled = _shares(reference + current)
    sizes = int(reference.sum()), int(current.sum())
    old = rng.multinomial(sizes[0], pooled, size=_DRAWS).astype(np.float64)
    new = rng.multinomial(sizes[1], pooled, size=_DRAWS).astype(np.float64)
    measure = psi if score == "psi" else jensen_shannon
    return float(np.quantile([measure(a, b) for a, b in zip(old, new, strict=True)], 0.99))


def _quantile_cells(reference: Mapping[str, int], current: Mapping[str, int]) -> Cells:
    bins = sorted({int(key) for key in (*reference, *current)})
    target_mass = sum(reference.values()) / _QUANTILE_CELLS
    groups: list[list[int]] = [[]]
    cell_mass = 0
    for position, number in enumerate(bins):
        groups[-1].append(number)
        cell_mass += reference.get(str(number), 0)
        if cell_mass >= target_mass and position < len(bins) - 1:
            groups.append([])
            cell_mass = 0
    # A thin rest joins its neighbor, but values beyond everything in the reference do not.
    if len(groups) > 1 and 0 < cell_mass < target_mass / 2:
        groups[-2] += groups.pop()
    return Cells(
        tuple(f"{group[0]}-{group[-1]}" for group in groups),
        {str(number): cell for cell, group in enumerate(groups) for number in group},
    )


def _frequent_terms(reference: Mapping[str, int], current: Mapping[str, int]) -> list[str]:
    # By the larger of the two shares, so that a word of one side only is not left out.
    sizes = max(sum(reference.values()), 1), max(sum(current.values()), 1)

    def weight(term: str) -> tuple[float, str]:
        share = max(reference.get(term, 0) / sizes[0], current.get(term, 0) / sizes[1])
        return (-share, term)

    terms = (set(reference) | set(current)) - {OTHER_TERM}
    return sorted(terms, key=weight)[:_TERMS]


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum()
    if total <= 0:
        raise MeasurementError(
            "An empty histogram cannot be compared.", next_step="choose a window with events"
        )
    return np.asarray(counts / total, np.float64)


def _filled(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    least = float(shares[shares > 0].min())
    return np.where(shares > 0, shares, least / 10**6 if least <= _SMALL else _SMALL)


def _relative_entropy(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    positive = one > 0
    return float(np.sum(one[positive] * np.log(one[positive] / other[positive])))
