"""Strategies on made-up margins and vectors, without a model or a lake."""

from dataclasses import replace

import numpy as np
import pytest

from flywheel.review.sampling.novelty import find_novel
from flywheel.review.sampling.strategies import (
    STRATEGIES,
    Answers,
    calibrated_margin,
    cluster_margin,
    margin_between,
)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def around(axes, spread=0.05, seed=0):
    """Return a unit vector near each of the given axes."""
    rng = np.random.default_rng(seed)
    return unit(np.eye(32)[axes] + rng.normal(0, spread, (len(axes), 32)))


def answers(margins, axes):
    """Return answers with these margins, in groups along these axes."""
    margin = np.array(margins, dtype=float)
    return Answers(0.5 + margin / 2, margin, around(axes))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize("size", [0, 1, 7, 300])
def test_every_answer_is_ordered_once_and_the_same_each_time(name, size):
    """An order is a permutation, from the seed and the answers alone."""
    rng = np.random.default_rng(size)
    given = answers(rng.random(size), rng.integers(0, 9, size))
    order = STRATEGIES[name](given, 5, 3)
    assert sorted(order) == list(range(size))
    assert order == STRATEGIES[name](given, 5, 3)


def test_cluster_margin_asks_about_every_kind_of_text_before_one_twice():
    """Eight kinds in the pool, eight questions: one each, the smallest margin of each kind."""
    axes = [axis for axis in range(8) for _ in range(6)]
    margins = [0.01 * place + 0.0001 * axis for axis in range(8) for place in range(6)]
    order = cluster_margin(answers(margins, axes), 8, 0)
    assert {axes[number] for number in order[:8]} == set(range(8))
    assert all(number % 6 == 0 for number in order[:8])


def test_cluster_margin_gives_a_rare_kind_its_turn_first():
    """Of 40 texts of one kind and 4 surer ones of another, the rare kind is among four asked."""
    given = answers([0.1] * 40 + [0.3] * 4, [0] * 40 + [1] * 4)
    assert max(cluster_margin(given, 4, 1)[:4]) >= 40
    assert max(STRATEGIES["smallest_margin"](given, 4, 1)[:4]) < 40


def test_cluster_margin_weighs_doubt_by_how_often_a_text_comes():
    """A text that came a hundred times is asked about before rarer ones of more doubt."""
    given = answers([0.1] * 200 + [0.4] * 2, [0] * 202)
    assert max(cluster_margin(given, 1, 0)[:150]) < 200
    often = replace(given, times=np.array([1.0] * 200 + [100.0, 1.0]))
    assert cluster_margin(often, 1, 0)[0] == 200


def test_cluster_margin_leaves_sure_answers_outside_its_pool():
    """What is outside the pool comes after all of it, by margin."""
    rng = np.random.default_rng(5)
    margins = rng.random(1000)
    order = cluster_margin(answers(margins, rng.integers(0, 20, 1000)), 40, 2)
    pool, rest = order[:120], order[120:]
    assert margins[pool].max() <= margins[rest].min()
    assert np.all(np.diff(margins[rest]) >= 0)


def test_margin_without_a_report_keeps_the_order_of_confidence():
    """Answers of servers without a margin are ordered by confidence, between those that have one."""
    estimates = [margin_between(confidence, None) for confidence in np.linspace(0, 1, 101)]
    assert np.all(np.diff(estimates) > 0)
    assert (estimates[0], estimates[-1]) == (0, 1)
    assert margin_between(0.4, 0.1) == 0.1


@pytest.mark.parametrize(
    ("confidence", "margin", "calibrated", "expected"),
    [
        (0.6, 0.3, 0.6, 0.3),
        (0.6, 0.3, 0.8, 0.8 - 0.15),  # the runner-up's 0.3 of the others' 0.4 becomes 0.15 of 0.2
        (0.9, 0.85, 0.5, 0.5 - 0.25),
        (0.9, 0.8, 0.1, 0.0),
        (1.0, 1.0, 0.7, 0.7),
        (0.6, None, 0.8, None),
    ],
)
def test_calibration_moves_the_margin_with_the_confidence(confidence, margin, calibrated, expected):
    """The other answers share what the answer loses or gains."""
    assert calibrated_margin(confidence, margin, calibrated) == pytest.approx(expected)


def test_novel_texts_come_in_groups_the_largest_first():
    """A new kind is a group; what is like nothing else is an outlier and is not asked."""
    known = around([axis for axis in range(4) for _ in range(20)])
    candidates = around([0] * 50 + [10] * 9 + [11] * 5 + [12, 13], seed=1)
    found = list(find_novel(candidates, known))
    kinds = [("ten" if text.number < 59 else "eleven") for text in found]
    assert kinds[0] == "ten"
    assert found[0].group >= found[-1].group >= 3
    assert "eleven" in kinds
    assert all(50 <= text.number < 64 for text in found)


def test_nothing_is_novel_without_a_reference():
    """Fewer than 20 known texts set no bar, and no text is novel among the known kinds."""
    candidates = around([5] * 10)
    assert list(find_novel(candidates, around([1] * 19))) == []
    assert list(find_novel(candidates[:0], around([1] * 40))) == []
