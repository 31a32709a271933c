"""Rows of KTO: batches in which every prompt meets another answer, and weights of both sides."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flywheel.errors import OutOfMemoryError
from flywheel.train.plan import Hardware, ModelSize, make_plan
from flywheel.train.rows import ThumbRow
from flywheel.train.summary import describe
from flywheel.train.thumbs import build_thumbs, in_batches, thumb_weights
from flywheel.workload.model import PreferenceRecipe, TrainingRecipe


def rows(up, down):
    return [ThumbRow([n], [n], wanted=n < up) for n in range(up + down)]


def test_every_prompt_meets_the_answer_of_a_neighbor():
    """Each batch holds its own answers, rotated by one; a last single row takes another one's."""
    given = rows(5, 4)
    paired = in_batches(given, 4, seed=1)
    assert sorted(row.prompt_ids[0] for row, _ in paired) == list(range(9))
    for start in (0, 4):
        batch = paired[start : start + 4]
        own = [row.completion_ids for row, _ in batch]
        assert [other.completion_ids for _, other in batch] == [own[-1], *own[:-1]]
    assert all(row is not other for row, other in paired)
    assert in_batches(given, 4, seed=1) == paired
    assert in_batches(given, 4, seed=2) != paired


@pytest.mark.parametrize(
    ("up", "down", "weights"),
    [(30, 10, (1.0, 3.0)), (10, 30, (3.0, 1.0)), (10, 10, (1.0, 1.0)), (5, 0, (1.0, 1.0))],
)
def test_both_sides_count_alike(up, down, weights):
    """The rarer side weighs as much more as it is rarer."""
    assert thumb_weights(rows(up, down)) == weights


def test_one_row_at_a_time_is_refused():
    """An answer needs another one to be compared with."""
    recipe = TrainingRecipe(preference=PreferenceRecipe(method="kto"))
    size = ModelSize(100_000, hidden=64, layers=2, vocabulary=600, precision="float32")
    plan = replace(make_plan(Hardware("cpu", 2**34), size, recipe, longest_row=64), micro_batch=1)
    spec = SimpleNamespace(recipe=recipe)
    with pytest.raises(OutOfMemoryError, match="two rows at a time"):
        build_thumbs(spec, Path(), None, None, rows(2, 2), plan, start=Path())


def test_too_few_thumbs_are_named():
    """The result says what the recipe asks for."""
    recipe = TrainingRecipe(preference=PreferenceRecipe(method="kto", minimum_thumbs=6))
    done = SimpleNamespace(plan={}, plan_changes=[])
    facts = describe(recipe, rows(12, 5), done, None)
    assert facts["preference"]["left_out"] == (
        "12 thumbs up and 5 down, the recipe asks for 6 of each"
    )
