"""Thumbs that become rows of KTO: the guards of training rows, and which method a recipe takes."""

from dataclasses import replace

import pytest

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.artifacts.snapshot import read_rows
from flywheel.dataset.build import build_dataset
from flywheel.dataset.lineage import snapshots_with_inference
from flywheel.dataset.preference import Preference
from flywheel.dataset.thumbs import choose_method, read_thumbs
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import PreferenceRecipe
from tests.fakes.review_world import (
    END,
    START,
    classification,
    correction,
    put_answers,
    put_corrections,
    put_feedback,
    text,
    truth,
)

UP, DOWN = True, False


def workload_of(method, **recipe):
    """Return a workload that asks for a method."""
    made = classification()
    wanted = PreferenceRecipe(method=method, minimum_thumbs=2, **recipe)
    return made.model_copy(
        update={
            "training": made.training.model_copy(update={"preference": wanted}),
            "minimum_examples": 10,
            "golden_size": 10,
        }
    )


def answer(number, output, **changes):
    """Return one production answer."""
    made = {
        "inference_id": f"a{number:05d}",
        "timestamp": START,
        "input": text(number),
        "output": output,
    }
    return made | changes


def build(lake, tmp_path, workload):
    """Build the dataset of a first cycle."""
    opened = OpenedWorkload(CycleRef(workload.id, "2026Q1-1"), workload)
    return build_dataset(lake, opened, home=tmp_path, now=END)


def put_thumbs(lake, workload, answers, thumbs):
    """Put answers and the thumbs on them into the lake."""
    put_answers(lake, workload, answers)
    put_feedback(lake, workload, [(key, "boolean", up) for key, up in thumbs])


def test_thumbs_are_rows_under_the_guards_of_training_rows(lake, tmp_path):
    """Evaluation cases, corrected answers, contradictions and duplicates stay out, with a reason."""
    workload = workload_of("kto")
    put_corrections(lake, workload, [correction(n) for n in range(40)])
    first = build(lake, tmp_path / "before", workload)
    golden = read_rows(first.folder, "golden")[0]["input"]
    answers = [
        answer(n, truth(n)) for n in (101, 102, 103, 104)
    ] + [
        answer(105, truth(105), input=golden),
        answer(106, "no such label"),
        answer(107, truth(101), input=text(101)),
        answer(0, truth(0), inference_id="i00000"),
        answer(108, truth(108)),
        answer(109, truth(108), input=text(108)),
    ]  # fmt: skip
    thumbs = [(one["inference_id"], UP) for one in answers]
    thumbs[1] = (thumbs[1][0], DOWN)
    thumbs[9] = (thumbs[9][0], DOWN)
    put_thumbs(lake, workload, answers, thumbs)
    snapshot = build(lake, tmp_path / "after", workload)
    rows = read_rows(snapshot.folder, "preference")
    assert {(row["inference_id"], row["label"]) for row in rows} == {
        ("a00101", True), ("a00102", False), ("a00103", True), ("a00104", True),
    }  # fmt: skip
    assert rows[0]["completion"] == truth(101)
    facts = snapshot.preference
    assert (facts["method"], facts["wanted"], facts["unwanted"]) == ("kto", 3, 1)
    assert facts["exclusions"] == {
        "conflict": 2, "corrected": 1, "duplicate": 1, "leakage": 1, "not_an_answer": 1,
    }  # fmt: skip
    assert snapshots_with_inference(lake, workload.id, "a00101")


def test_the_newest_thumb_of_an_answer_counts(lake):
    """A person may change their mind."""
    workload = workload_of("kto")
    put_thumbs(lake, workload, [answer(1, truth(1))], [("a00001", UP), ("a00001", DOWN)])
    [thumb] = read_thumbs(lake, workload.id, AnswerMapping(workload), "")
    assert not thumb.wanted


@pytest.mark.parametrize(
    ("method", "pairs", "up", "down", "taken"),
    [
        ("dpo", 0, 9, 9, "pairs"),
        ("kto", 9, 0, 0, "thumbs"),
        ("auto", 9, 9, 9, "pairs"),
        ("auto", 1, 9, 9, "thumbs"),
        ("auto", 1, 9, 1, "pairs"),
    ],
)
def test_auto_takes_pairs_where_there_are_enough_and_else_thumbs(method, pairs, up, down, taken):
    """Thumbs need both kinds; where neither suffices the stage is left out over its pairs."""
    recipe = PreferenceRecipe(method=method, minimum_pairs=5, minimum_thumbs=3)
    of_pairs = Preference(pairs=[None] * pairs)
    thumbs = {str(n): n < up for n in range(up + down)}
    of_thumbs = replace(Preference(), thumbs=thumbs)
    chosen = choose_method(recipe, of_pairs, of_thumbs)
    assert chosen is (of_pairs if taken == "pairs" else of_thumbs)
