"""Directed reviews: drawn at random from what nobody was asked, blind, and within the budget."""

from collections import Counter
from datetime import timedelta

import numpy as np

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.quality.control_slice import control_accuracy
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.candidates import Candidate
from flywheel.review.sampling.directed import choose_directed, draw_directed
from flywheel.review.sampling.draws import draw as hash_of
from flywheel.review.sampling.sent_items import judgments_left_in, read_batch
from flywheel.review.sampling.window_ledger import read_windows
from tests.fakes.review_world import (
    END,
    START,
    answer,
    classification,
    put_answers,
    sample_week,
    text,
)

CYCLE = "2026Q1-1"


def draw(lake, queue, workload, *, cases, number=1, now=END, trained=()):
    return draw_directed(
        lake,
        queue,
        workload,
        cycle=CycleRef(workload.id, CYCLE),
        attempt=1,
        number=number,
        cases=cases,
        since=START,
        trained_texts=trained,
        now=now,
    )


def test_items_are_blind_and_carry_their_chance(lake, queue):
    """People see no answer of a model; the item says with which chance it was drawn."""
    workload = classification(review={"budget": 100})
    put_answers(lake, workload, [answer(number) for number in range(200)])
    drawn = draw(lake, queue, workload, cases=40)
    assert (drawn.items, drawn.frame, drawn.missing, drawn.left) == (40, 200, 0, 60)
    assert drawn.batch_id == "2026Q1-directed.2026Q1.1.1.1"
    items = read_batch(lake, workload.id, drawn.batch_id)
    assert queue.status(workload).items == len(items) == 40
    assert {(i.slice, i.model_output, i.judgments, i.measures) for i in items} == {
        ("directed", None, 1, True)
    }
    assert {item.inclusion_probability for item in items} == {0.2}


def test_draw_is_that_of_the_hash():
    """The smallest hashes of the frame, with the hash as the score, in whichever order it comes."""
    workload = classification()
    frame = [Candidate(f"i{n}", f"text {n}", "x", 0.5, "base", None, START) for n in range(30)]
    made = {"batch_id": "b", "period": "2026Q1", "cycle": CYCLE, "attempt": 2, "now": END}
    items = choose_directed(workload, frame[::-1], 4, **made)
    hashes = {
        one.inference_id: hash_of(3, workload.id, f"directed:{CYCLE}:2", one.inference_id)
        for one in frame
    }
    smallest = sorted(hashes.items(), key=lambda one: one[1])[:4]
    assert [(i.inference_id, i.score) for i in items] == [(n, round(h, 4)) for n, h in smallest]
    assert len(choose_directed(workload, frame[:3], 4, **made)) == 3


def test_what_was_asked_or_trained_on_is_left_out(lake, queue):
    """Neither an item of a window nor a text that the candidate learned is a case."""
    workload = classification(review={"budget": 200})
    put_answers(lake, workload, [answer(number) for number in range(100)])
    sample_week(lake, queue, workload, budget=20)
    asked = {item.inference_id for b in read_windows(lake, workload.id)
             for item in read_batch(lake, workload.id, b.batch_id)}  # fmt: skip
    drawn = draw(lake, queue, workload, cases=100, trained=[text(n) for n in range(30)])
    ids = {item.inference_id for item in read_batch(lake, workload.id, drawn.batch_id)}
    assert asked
    assert not ids & (asked | {f"i{number:05d}" for number in range(30)})
    assert drawn.trained_on == sum(f"i{number:05d}" not in asked for number in range(30))
    assert drawn.items == drawn.frame == 100 - len(asked) - drawn.trained_on


def test_answers_of_open_windows_are_left_to_their_control_slice(lake, queue):
    """A draw takes nothing from days whose batch is not drawn yet."""
    workload = classification(review={"budget": 200})
    put_answers(lake, workload, [answer(number) for number in range(60)])
    sample_week(lake, queue, workload, budget=10)
    later = END + timedelta(days=2)
    late = [answer(n, timestamp=END + timedelta(hours=n - 59)) for n in range(60, 80)]
    put_answers(lake, workload, late, offset=60, landed_at=later)
    drawn = draw(lake, queue, workload, cases=200, now=later)
    ids = {item.inference_id for item in read_batch(lake, workload.id, drawn.batch_id)}
    assert ids
    assert not ids & {f"i{number:05d}" for number in range(60, 80)}


def test_budget_that_ends_leaves_cases_for_another_draw(lake, queue):
    """A period pays what it can; the next draw asks the rest, and nothing twice."""
    workload = classification(review={"budget": 30})
    put_answers(lake, workload, [answer(number) for number in range(200)])
    first = draw(lake, queue, workload, cases=50)
    assert (first.items, first.missing, first.left) == (30, 20, 0)
    again = draw(lake, queue, workload, cases=50)
    assert (again.items, again.batch_id) == (30, first.batch_id)
    nothing = draw(lake, queue, workload, cases=20, number=2)
    assert (nothing.items, nothing.missing) == (0, 20)
    later = END + timedelta(days=90)
    second = draw(lake, queue, workload, cases=20, number=2, now=later)
    assert (second.period, second.items, second.missing) == ("2026Q2", 20, 0)
    both = [read_batch(lake, workload.id, batch.batch_id) for batch in (first, second)]
    assert len({item.inference_id for batch in both for item in batch}) == 50
    assert judgments_left_in(lake, workload, "2026Q2") == 10


def test_directed_batches_are_no_windows_and_no_figure_of_production(lake, queue):
    """Sampling resumes where it was, and the control slice's accuracy rests on its own items."""
    workload = classification(review={"budget": 200})
    put_answers(lake, workload, [answer(number) for number in range(100)])
    sample_week(lake, queue, workload, budget=20)
    before = read_windows(lake, workload.id)
    accuracy = control_accuracy(lake, workload, START, END)
    draw(lake, queue, workload, cases=40)
    collect(lake, queue, workload, now=END)
    assert read_windows(lake, workload.id) == before
    assert control_accuracy(lake, workload, START, END) == accuracy


def test_every_answer_has_the_same_chance():
    """Simulated over 400 cycles: as often as the draw says, whatever the answer's confidence."""
    workload = classification()
    frame = [Candidate(f"i{n}", f"text {n}", "x", n / 60, "base", None, START) for n in range(60)]
    drawn: Counter[str] = Counter()
    for cycle in range(400):
        items = choose_directed(
            workload,
            frame,
            15,
            batch_id="b",
            period="2026Q1",
            cycle=str(cycle),
            attempt=1,
            now=END,
        )
        drawn.update(item.inference_id for item in items)
    share = np.array([drawn[one.inference_id] for one in frame]) / 400
    assert abs(share - 0.25).max() < 4 * (0.25 * 0.75 / 400) ** 0.5
    assert abs(np.corrcoef(share, np.arange(60))[0, 1]) < 0.4
