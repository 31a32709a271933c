"""Of a large window only what a batch can be made of is read: the batch is the same, or as good."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from flywheel.review.sampling import candidate_pool
from flywheel.review.sampling.candidate_pool import PoolFigures, choose_pool
from flywheel.review.sampling.draws import choose_items, draw
from flywheel.review.sampling.strategies import (
    calibrated_margin,
    calibrated_margins,
    margin_between,
    margins_between,
)
from tests.fakes.review_world import (
    END,
    START,
    answer,
    put_answers,
    put_feedback,
    sample_week,
    text,
)
from tests.unit.review.test_sampling import candidates, choose, shares

_FLAGGED = "client marked it wrong", 1.0
# What `choose_items` chose before windows were thinned.
_AS_BEFORE = "b0cc74c0473d70bc"


def test_a_small_window_is_chosen_from_as_before():
    """To the last bit: items, slices, reasons, scores, probabilities and judgments."""
    found = candidates(300)
    found += [replace(one, flag=_FLAGGED) for one in candidates(20, start=400)]
    found += [replace(one, in_window=False) for one in candidates(30, start=500)]
    known = [text(number) for number in range(900, 960)]
    items = [item for budget in (7, 60, 90) for item in choose(found, budget=budget, known=known)]
    said = "\n".join(
        f"{i.item_id} {i.slice} {i.reason} {i.score} {i.inclusion_probability} {i.judgments}"
        for i in items
    )
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == _AS_BEFORE


@pytest.fixture
def thinned(monkeypatch):
    """Thin windows of more than 60 answers to a few of each kind."""

    def thin(of_each=60):
        monkeypatch.setattr(candidate_pool, "_WHOLE", 60)
        monkeypatch.setattr(candidate_pool, "_OF_EACH", of_each)
        monkeypatch.setattr(candidate_pool, "_A_JUDGMENT", 5)

    return thin


def _asked(lake, workload):
    rows = lake.rows(
        "SELECT * EXCLUDE (chosen_at, batch_id, item_id) FROM review_items ORDER BY ALL"
    )
    return [row for row in rows if row["workload_id"] == workload.id]


def _sampled(tmp_path_factory, queue, workload, answers, said=(), disagreements=(), newest=()):
    from flywheel.lake.store import Lake

    lake = Lake(tmp_path_factory.mktemp("pool") / "lake")
    put_answers(lake, workload, answers)
    if said:
        put_feedback(lake, workload, said)
    if newest:
        put_feedback(lake, workload, newest, given_at=START + timedelta(days=3))
    report = sample_week(lake, queue, workload, budget=12, disagreements=disagreements)
    asked = _asked(lake, workload)
    lake.close()
    return report, asked


@pytest.mark.parametrize("slices", [{"control": 1.0}, {"uncertain": 1.0}, {"flagged": 1.0}])
def test_a_thinned_window_asks_the_same(tmp_path_factory, queue, thinned, slices):
    """Control draws, doubt and complaints do not depend on what is left out."""
    workload = shares(**slices)
    answers = [answer(number) for number in range(240)]
    answers += [answer(300 + n, input=text(n), confidence=0.4 + n / 1000) for n in range(40)]
    said = [(f"i{number:05d}", "boolean", False) for number in range(3, 60, 4)]
    whole = _sampled(tmp_path_factory, queue, workload, answers, said)
    thinned()
    thin = _sampled(tmp_path_factory, queue, workload, answers, said)
    assert thin[1] == whole[1]
    assert len(thin[1]) > 10
    assert (thin[0].candidates, thin[0].items) == (whole[0].candidates, whole[0].items)


def test_a_disagreement_is_read_however_sure_the_answer_is(tmp_path_factory, queue, thinned):
    """What a shadow answers otherwise is asked from a thinned window too."""
    workload = shares(control=0.5, uncertain=0.5)
    answers = [answer(number) for number in range(240)]
    differing = [one["inference_id"] for one in answers if one["confidence"] > 0.9][:3]
    thinned(of_each=5)
    _, asked = _sampled(
        tmp_path_factory, queue, workload, answers, disagreements=[*differing, "of another day"]
    )
    assert set(differing) <= {row["inference_id"] for row in asked}


def test_every_answer_of_a_thinned_window_has_the_same_chance(thinned):
    """Control slices of many batches: each answer is drawn as often as its probability says."""
    workload, count, batches = shares(control=1.0), 80, 300
    thinned(of_each=5)
    found = candidates(count)
    drawn = np.zeros(count)
    for number in range(batches):
        batch = f"b{number}"
        figures = _figures(found, workload, batch)
        chosen = choose_pool(figures, limit=0.7, strategy="cluster_margin", budget=8)
        items = choose_items(
            workload,
            [one for one in found if one.inference_id in chosen],
            budget=8,
            batch_id=batch,
            period="2026Q1",
            seed=workload.seed,
            now=END,
            frame=count,
        )
        for item in items:
            assert item.inclusion_probability == pytest.approx(8 / count)
            drawn[int(item.inference_id[1:])] += 1
    expected = batches * 8 / count
    statistic = float(((drawn - expected) ** 2 / expected).sum())
    assert statistic < 124  # chi-squared with 79 degrees of freedom: one in a thousand is above


def _figures(found, workload, batch):
    return PoolFigures(
        ids=[one.inference_id for one in found],
        confidence=np.array([one.confidence for one in found]),
        margin=np.full(len(found), np.nan),
        in_window=np.array([one.in_window for one in found]),
        searchable=np.array([one.searchable for one in found]),
        draws=np.array(
            [draw(workload.seed, workload.id, batch, "control", o.inference_id) for o in found]
        ),
        texts=np.array([hash(one.input) % 2**63 for one in found], dtype=np.uint64),
    )


def test_a_text_stands_for_its_repeats():
    """The least sure answer is read, with the number of unsure answers to the same text."""
    figures = PoolFigures(
        ids=["a", "b", "c", "d", "e"],
        confidence=np.array([0.5, 0.4, 0.9, np.nan, 0.6]),
        margin=np.full(5, np.nan),
        in_window=np.zeros(5, dtype=bool),
        searchable=np.array([True, True, True, True, False]),
        draws=np.array([0.5, 0.4, 0.3, 0.2, 0.1]),
        texts=np.array([1, 1, 1, 1, 1], dtype=np.uint64),
    )
    chosen = choose_pool(figures, limit=0.7, strategy="cluster_margin", budget=0)
    assert chosen == {"a": 1, "b": 2, "c": 1, "d": 1}


def test_what_is_drawn_is_what_has_the_smallest_hashes(thinned):
    """As many answers of the frame as judgments, as many of those to search in as are looked at."""
    draws = np.random.default_rng(1).permutation(200) / 200
    places = np.arange(200)
    figures = PoolFigures(
        ids=[f"i{n}" for n in range(200)],
        confidence=np.full(200, 0.99),
        margin=np.full(200, np.nan),
        in_window=places < 100,
        searchable=places >= 100,
        draws=draws,
        texts=np.arange(200, dtype=np.uint64),
    )
    thinned(of_each=7)
    for budget in (0, 1, 3):
        chosen = choose_pool(figures, limit=0.7, strategy="cluster_margin", budget=budget)
        frame = sorted(range(100), key=lambda n: draws[n])[:budget]
        searched = sorted(range(100, 200), key=lambda n: draws[n])[: max(7, 5 * budget)]
        assert chosen == {f"i{n}": 1 for n in (*frame, *searched)}


def test_the_newest_of_many_complaints_are_read(tmp_path_factory, queue, thinned):
    """Of more equally grave ones than are read, the same are asked as from the whole window."""
    workload = shares(flagged=1.0)
    answers = [answer(number) for number in range(240)]
    said = [(f"i{number:05d}", "boolean", False) for number in range(70)]
    newest = [(f"i{number:05d}", "boolean", False) for number in range(100, 112)]
    thinned()
    _, asked = _sampled(tmp_path_factory, queue, workload, answers, said, newest=newest)
    assert {row["inference_id"] for row in asked} == {key for key, _, _ in newest}


def test_many_margins_are_those_of_one():
    """Calibrated and filled in alike, also at certainty and where none is reported."""
    confidence = np.array([0.2, 0.5, 0.9, 1.0, 0.7])
    margin = np.array([0.1, 0.3, 0.85, 1.0, np.nan])
    calibrated = np.array([0.3, 0.4, 0.95, 0.8, 0.6])
    single = [
        calibrated_margin(float(c), None if np.isnan(m) else float(m), float(k))
        for c, m, k in zip(confidence, margin, calibrated, strict=True)
    ]
    many = calibrated_margins(confidence, margin, calibrated)
    assert [None if np.isnan(m) else pytest.approx(m) for m in many] == single
    filled = margins_between(confidence, margin)
    assert filled[4] == pytest.approx(margin_between(0.7, None))
    assert filled[0] == margin_between(0.2, 0.1)
