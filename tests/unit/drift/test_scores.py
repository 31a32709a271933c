import warnings

import numpy as np
import pytest

from flywheel.drift.merged import Histogram
from flywheel.drift.scores import cells_of, chance, confidence_cells, jensen_shannon, psi
from flywheel.errors import MeasurementError


def _counts(values, keys):
    return np.array([np.sum(values == key) for key in keys], np.float64)


def _evidently(method, reference, current, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType

        kind = ColumnType(kind)
        test = get_stattest(pd.Series(reference), pd.Series(current), kind, method)
        return test(pd.Series(reference), pd.Series(current), kind, 0.1).drift_score


@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_scores_on_the_same_cells_are_those_of_evidently(shift):
    """Given our cells as categories, Evidently finds the same PSI and Jensen-Shannon distance."""
    rng = np.random.default_rng(1)
    reference = np.floor(np.exp(rng.normal(3, 0.5, 4000))).astype(int)
    current = np.floor(np.exp(rng.normal(3 + shift, 0.6, 1500))).astype(int)
    histograms = [
        Histogram(
            "numeric",
            {str(k): int(n) for k, n in zip(*np.unique(v, return_counts=True), strict=True)},
        )
        for v in (reference, current)
    ]
    cells = cells_of(*histograms)
    old, new = (cells.vector(h) for h in histograms)
    as_cells = [
        np.array([cells.cell_of[str(v)] for v in values]) for values in (reference, current)
    ]
    assert psi(old, new) == pytest.approx(_evidently("psi", *as_cells, "cat"), abs=1e-9)
    assert jensen_shannon(old, new) == pytest.approx(
        _evidently("jensenshannon", *as_cells, "cat"), abs=1e-9
    )


@pytest.mark.parametrize(("shift", "drifted"), [(0.0, False), (0.1, False), (0.6, True)])
def test_verdicts_on_numbers_are_those_of_evidently_with_its_own_bins(shift, drifted):
    """Its equal-width bins give other scores than our quantile cells, but the same verdict."""
    rng = np.random.default_rng(2)
    reference, current = rng.normal(60, 15, 4000), rng.normal(60 + 15 * shift, 15, 1500)
    histograms = [
        Histogram(
            "numeric",
            {str(k): int(n) for k, n in zip(*np.unique(v, return_counts=True), strict=True)},
        )
        for v in (reference.astype(int), current.astype(int))
    ]
    cells = cells_of(*histograms)
    ours = psi(*(cells.vector(h) for h in histograms))
    theirs = _evidently("psi", reference, current, "num")
    assert bool(ours >= 0.2) == bool(theirs >= 0.2) == drifted


def test_categories_of_one_side_only_score_as_in_evidently():
    """A new category fills an empty cell of the reference in the same way."""
    reference = np.array(["a"] * 500 + ["b"] * 500)
    current = np.array(["a"] * 300 + ["b"] * 500 + ["c"] * 200)
    old, new = (_counts(v, ["a", "b", "c"]) for v in (reference, current))
    assert psi(old, new) == pytest.approx(_evidently("psi", reference, current, "cat"), abs=1e-9)


def test_equal_shares_score_nothing_and_disjoint_ones_the_most():
    """The distance goes from 0 to the square root of ln 2."""
    old = np.array([10.0, 30.0, 0.0])
    assert jensen_shannon(old, old * 7) == pytest.approx(0, abs=1e-7)
    assert psi(old, old * 7) == pytest.approx(0, abs=1e-9)
    apart = jensen_shannon(np.array([5.0, 0.0]), np.array([0.0, 9.0]))
    assert apart == pytest.approx(np.sqrt(np.log(2)))


def test_an_empty_histogram_is_no_score():
    """Nothing to compare is an error, never a 0."""
    with pytest.raises(MeasurementError, match="empty"):
        psi(np.zeros(3), np.ones(3))


def test_numeric_cells_hold_a_tenth_of_the_reference_and_keep_the_far_side():
    """Values beyond everything in the reference have a cell of their own."""
    reference = Histogram("numeric", {str(k): 10 for k in range(100)})
    current = Histogram("numeric", {"50": 5, "400": 5})
    cells = cells_of(reference, current)
    assert list(cells.vector(reference)[:10]) == [100.0] * 10
    assert cells.vector(current)[-1] == 5
    assert cells.vector(reference)[-1] == 0


@pytest.mark.parametrize(("rest", "cells"), [(5, 10), (4, 9)])
def test_thin_rest_of_a_reference_joins_its_neighbor(rest, cells):
    """The last values have a cell from half of a tenth on, and less joins the cell before it."""
    counts = {str(k): 10 for k in range(8)} | {"8": 15 + 5 - rest, "9": rest}
    reference = Histogram("numeric", counts)
    assert len(cells_of(reference, reference).names) == cells


def test_rare_words_count_together_but_new_ones_do_not_vanish():
    """A word that only the window has is among the cells, however many words there are."""
    reference = Histogram("term", {f"word{k}": 50 for k in range(500)})
    current = Histogram("term", {"battery": 200} | {f"word{k}": 5 for k in range(500)})
    cells = cells_of(reference, current)
    assert "battery" in cells.names
    assert cells.vector(reference).sum() == reference.size


@pytest.mark.parametrize("method", ["psi", "jensen_shannon"])
def test_chance_is_what_undrifted_samples_reach(method):
    """About one in a hundred pairs without drift lies above it."""
    rng = np.random.default_rng(4)
    shares = np.full(20, 1 / 20)
    score = psi if method == "psi" else jensen_shannon
    pairs = [[rng.multinomial(n, shares).astype(float) for n in (1000, 150)] for _ in range(300)]
    level = chance(method, *pairs[0], seed=1)
    above = np.mean([score(old, new) > level for old, new in pairs])
    assert above < 0.05
    assert level < 3 * np.median([score(old, new) for old, new in pairs])


def _logistic(mean, spread, size, seed):
    return 1 / (1 + np.exp(-np.random.default_rng(seed).normal(mean, spread, size)))


@pytest.mark.parametrize(
    ("before", "now"),
    [((2, 1), (2, 1)), ((2, 1), (1, 1)), ((4, 1), (4, 1)), ((4, 1), (3, 1)), ((5, 0.7), (4, 0.7))],
)
@pytest.mark.parametrize("sizes", [(1_000, 600), (5_000, 5_000)])
def test_confidence_agrees_in_verdict_with_evidently_on_the_raw_values(before, now, sizes):
    """Also of a sure model, whose confidence all lies beyond 0.98."""
    raw = [
        _logistic(*shape, size, n)
        for n, (shape, size) in enumerate(zip((before, now), sizes, strict=True))
    ]
    histograms = [
        Histogram(
            "numeric",
            {
                str(1000 + k): int(n)
                for k, n in zip(
                    *np.unique(np.floor(v * 1000).astype(int), return_counts=True), strict=True
                )
            },
        )
        for v in raw
    ]
    cells = confidence_cells(*histograms)
    ours = psi(*(cells.vector(h) for h in histograms))
    theirs = _evidently("psi", *raw, "num")
    assert bool(ours >= 0.2) == bool(theirs >= 0.2) == (before != now)
    assert ours == pytest.approx(theirs, rel=0.25, abs=0.03)
