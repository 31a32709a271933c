"""Second judgments of what is in doubt: who is asked, what it costs, and what it may not touch."""

from datetime import timedelta

import pytest

from flywheel.errors import RefusedError
from flywheel.review.merging.agreement import review_agreement
from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import judgments_left
from flywheel.review.sampling.budget import JudgedTwice
from flywheel.review.sampling.sent_items import read_batch, read_sent, spending
from tests.fakes.review_world import (
    END,
    START,
    answer,
    classification,
    put_answers,
    sample_week,
    truth,
)

pytestmark = pytest.mark.usefixtures("vectors_taken_once")
PERIOD = "2026Q1"
REVIEW = {
    "budget": 120,
    "overlap": 0.2,
    "overlap_random": 0.0,
    "gold": 0.0,
    "label_checks": 0.0,
    "confidence": 1.0,
    "shares": {"control": 0.2, "uncertain": 0.8, "novel": 0.0, "flagged": 0.0},
}


def number_of(task):
    """Return the number of a task's text."""
    return int(task.inference_id[1:])


@pytest.fixture
def start(lake, queue, filled_once):
    """Return a function that puts a batch into the queue about answers that are all right."""

    def begin(**review):
        return filled_once(tuple(review.items()), lambda: _start(lake, queue, **review))

    return begin


def _start(lake, queue, *, count=40, **review):
    workload = classification(review=REVIEW | review)
    rows = [answer(n, output=truth(n), confidence=0.9) for n in range(count)]
    put_answers(lake, workload, rows)
    sample_week(lake, queue, workload, budget=60)
    return workload


def answer_all(desk, workload, *, wrong=()):
    """Let ann judge everything, these wrong; ben one item, so that he is there to be asked."""
    tasks = desk.open_items(workload, "ann")
    last = next(task for task in reversed(tasks) if task.slice != "control")
    for task in tasks:
        n = number_of(task)
        who = "ben" if task is last else "ann"
        said = truth(n + 1) if task.inference_id in wrong else truth(n)
        desk.submit(workload, task.item_id, who, said)
    return tasks


def again(lake, workload):
    """Return the inference ids that were chosen for a second judgment."""
    return {e.item.inference_id for e in read_sent(lake, workload.id) if e.chosen_again}


def asked_ones(desk, workload, slice_):
    """Return inference ids of open tasks of a slice."""
    return [t.inference_id for t in desk.open_items(workload, "ann") if t.slice == slice_]


def test_answer_against_a_confident_model_goes_to_another_person(lake, queue, desk, start):
    """It stays accepted meanwhile, and who gave it is not asked again."""
    workload = start()
    wrong = asked_ones(desk, workload, "uncertain")[3]
    answer_all(desk, workload, wrong=[wrong])
    report = collect(lake, queue, workload, now=END)
    assert again(lake, workload) == {wrong}
    assert report.second_judgments == 1
    (row,) = lake.rows("SELECT * FROM latest_corrections WHERE inference_id = ?", [wrong])
    assert row["status"] == "accepted"
    assert desk.open_items(workload, "ann") == []
    (task,) = desk.open_items(workload, "ben")
    assert task.inference_id == wrong
    desk.submit(workload, task.item_id, "ben", truth(number_of(task)))
    assert collect(lake, queue, workload, now=END).adjudications == 1
    with pytest.raises(RefusedError):
        desk.submit(workload, f"{task.item_id}-adjudication", "ann", truth(0))
    desk.submit(workload, f"{task.item_id}-adjudication", "cleo", truth(number_of(task)))
    collect(lake, queue, workload, now=END)
    (row,) = lake.rows("SELECT * FROM latest_corrections WHERE inference_id = ?", [wrong])
    assert (row["status"], row["output"]) == ("accepted", f'"{truth(number_of(task))}"')


def test_nothing_is_chosen_twice_while_its_second_judgment_is_open(lake, queue, desk, start):
    """Another judgment that comes in between chooses others, and what is asked stays asked."""
    workload = start()
    first, second = asked_ones(desk, workload, "uncertain")[3:5]
    tasks = answer_all(desk, workload, wrong=[first])
    collect(lake, queue, workload, now=END)
    other = next(task for task in tasks if task.inference_id == second)
    desk.submit(workload, other.item_id, "ann", truth(number_of(other) + 1))
    assert collect(lake, queue, workload, now=END).second_judgments == 1
    assert again(lake, workload) == {first, second}
    (batch,) = {e.item.batch_id for e in read_sent(lake, workload.id)}
    judgments = {i.inference_id: i.judgments for i in read_batch(lake, workload.id, batch)}
    assert {name for name, count in judgments.items() if count == 2} == {first, second}
    assert max(judgments.values()) == 2
    used = spending(lake, workload.id, PERIOD).twice
    assert used == JudgedTwice(len(tasks), len(tasks), 0, 0, chosen=2)


def test_control_item_is_not_judged_again_because_of_what_was_said(lake, queue, desk, start):
    """Else people's errors would be corrected where they are against the model, and only there."""
    workload = start()
    wrong = asked_ones(desk, workload, "control")[0]
    answer_all(desk, workload, wrong=[wrong])
    collect(lake, queue, workload, now=END)
    assert wrong not in again(lake, workload)


def test_agreement_and_people_are_measured_on_what_was_drawn(lake, queue, desk, start):
    """A dispute that was looked for lowers neither alpha nor the figures of a person."""
    workload = start(overlap_random=0.4)
    open_ = desk.open_items(workload, "ann")
    drawn = {e.item.inference_id for e in read_sent(lake, workload.id) if e.drawn_twice}
    wrong = [
        t.inference_id for t in open_ if t.slice == "uncertain" and t.inference_id not in drawn
    ]
    answer_all(desk, workload, wrong=wrong[:2])
    collect(lake, queue, workload, now=END)
    assert again(lake, workload) == set(wrong[:2])
    for task in desk.open_items(workload, "ben"):
        desk.submit(workload, task.item_id, "ben", truth(number_of(task)))
    collect(lake, queue, workload, now=END)
    for task in desk.open_items(workload, "cleo"):
        desk.submit(workload, task.item_id, "cleo", truth(number_of(task)))
    collect(lake, queue, workload, now=END)
    overall, _ = review_agreement(lake, workload)
    assert drawn
    assert (overall.items, overall.alpha) == (len(drawn), 1.0)
    ann = {one.annotator: one for one in annotator_figures(lake, workload)}["ann"]
    assert (ann.accuracy, ann.agreement) == (1.0, 1.0)


def test_nothing_is_spent_beyond_the_budget(lake, queue, desk, start):
    """Second judgments and the adjudications that may follow are paid for in advance."""
    workload = start(budget=60)
    wrong = asked_ones(desk, workload, "uncertain")
    before = judgments_left(lake, workload, START)
    answer_all(desk, workload, wrong=wrong[::4])
    collect(lake, queue, workload, now=END)
    used = spending(lake, workload.id, PERIOD)
    assert len(again(lake, workload)) == used.twice.chosen > 0
    assert used.sent + used.held_back <= 60
    assert before <= judgments_left(lake, workload, START)
    for task in desk.open_items(workload, "ben"):
        desk.submit(workload, task.item_id, "ben", truth(number_of(task)))
    collect(lake, queue, workload, now=END)
    assert spending(lake, workload.id, PERIOD).sent <= 60


def test_what_no_doubt_needs_comes_back(lake, queue, desk, start):
    """Where everybody is as right as the model, the reserve is there for the next batch."""
    workload = start()
    items = len(read_sent(lake, workload.id))
    assert judgments_left(lake, workload, START) == 120 - items - 2 * -(-items // 5)
    answer_all(desk, workload)
    assert collect(lake, queue, workload, now=END).second_judgments == 0
    assert judgments_left(lake, workload, START) == 120 - items


def test_nobody_is_asked_where_nobody_else_is_there(lake, queue, desk, start):
    """One annotator alone cannot give a second opinion, nor one who left long ago."""
    workload = start()
    wrong = asked_ones(desk, workload, "uncertain")[3]
    answer_all(desk, workload, wrong=[wrong])
    late = collect(lake, queue, workload, now=END + timedelta(days=120))
    assert late.second_judgments == 0


def test_push_that_was_cut_off_is_repaired(lake, queue, desk, start):
    """What the lake wants judged twice is opened by the next merge."""
    workload = start()
    wrong = asked_ones(desk, workload, "uncertain")[3]
    answer_all(desk, workload, wrong=[wrong])

    class Deaf:
        name = queue.name
        pull = staticmethod(queue.pull)

        def push(self, *_):
            return 0

    collect(lake, Deaf(), workload, now=END)
    assert desk.open_items(workload, "ben") == []
    collect(lake, queue, workload, now=END)
    assert [task.inference_id for task in desk.open_items(workload, "ben")] == [wrong]


def test_everything_judged_twice_is_drawn_as_before(lake, queue, start):
    """With an overlap of 1 there is nothing to choose."""
    workload = start(overlap=1.0)
    assert all(entry.drawn_twice for entry in read_sent(lake, workload.id))


@pytest.mark.parametrize(
    ("counts", "now", "later"),
    [
        ((100, 0, 3, 0, 0), 0, 7),
        ((100, 50, 3, 3, 0), 2, 5),
        ((100, 50, 3, 3, 2), 0, 5),
        ((100, 100, 3, 3, 4), 3, 0),
        ((100, 100, 20, 20, 0), 0, 0),
    ],
)
def test_choices_follow_the_answers(counts, now, later):
    """A tenth of what is answered is judged twice, what was drawn included."""
    twice = JudgedTwice(*counts)
    assert (twice.now(0.1), twice.later(0.1)) == (now, later)
