"""Figures of each person: from items that others decided as well."""

from datetime import timedelta

import pytest

from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from tests.fakes.review_world import END, START, answer, classification, put_answers, truth

WORKLOAD = classification(review={"budget": 60, "overlap": 1.0})


@pytest.fixture
def tasks(lake, queue, desk):
    """Put four answers that two people judge into the queue; return item ids by inference id."""
    put_answers(lake, WORKLOAD, [answer(number) for number in range(4)])
    sample_batch(lake, queue, WORKLOAD, window_start=START, window_end=END, now=END, budget=60)
    return {task.inference_id: task.item_id for task in desk.open_items(WORKLOAD, "x")}


def by_name(lake):
    """Return the figures by annotator."""
    return {figures.annotator: figures for figures in annotator_figures(lake, WORKLOAD)}


def test_agreement_and_accuracy_come_from_shared_items(lake, queue, desk, tasks):
    """Two agree on one item; of the other a third person decides who was right."""
    for name, second in (("ann", truth(1)), ("ben", "heat fault")):
        desk.submit(WORKLOAD, tasks["i00000"], name, truth(0), seconds=10)
        desk.submit(WORKLOAD, tasks["i00001"], name, second, seconds=20)
    desk.submit(WORKLOAD, tasks["i00002"], "ann", truth(2), seconds=30)
    desk.submit(WORKLOAD, tasks["i00003"], "ann", kind="skipped")
    collect(lake, queue, WORKLOAD, now=END)
    desk.submit(WORKLOAD, f"{tasks['i00001']}-adjudication", "chi", truth(1))
    collect(lake, queue, WORKLOAD, now=END)
    found = by_name(lake)
    ann, ben = found["ann"], found["ben"]
    assert (ann.judgments, ann.skipped, ann.median_seconds) == (3, 1, 20)
    assert (ann.pairs, ann.agreement, ann.checked, ann.accuracy) == (2, 0.5, 2, 1.0)
    assert (ben.pairs, ben.agreement, ben.checked, ben.accuracy) == (2, 0.5, 2, 0.5)
    assert "chi" not in found  # an adjudicator is not judged by their own decision


def test_drift_is_the_newest_month_against_all_before(lake, queue, desk, clock, tasks):
    """Who was right in January and wrong in February has fallen by all of it."""
    for name in ("ann", "ben"):
        desk.submit(WORKLOAD, tasks["i00000"], name, truth(0))
    clock.move_to(END + timedelta(days=40))
    desk.submit(WORKLOAD, tasks["i00001"], "ann", truth(1))
    desk.submit(WORKLOAD, tasks["i00001"], "ben", "heat fault")
    collect(lake, queue, WORKLOAD, now=clock.now())
    desk.submit(WORKLOAD, f"{tasks['i00001']}-adjudication", "chi", truth(1))
    collect(lake, queue, WORKLOAD, now=clock.now())
    found = by_name(lake)
    assert (found["ann"].drift, found["ben"].drift) == (0.0, -1.0)
    assert [(m.month, m.accuracy) for m in found["ben"].months] == [
        ("2026-01", 1.0),
        ("2026-02", 0.0),
    ]


def test_nobody_is_measured_by_themselves(lake, queue, desk, tasks):
    """An item that one person alone decided gives no accuracy."""
    workload = classification(review={"budget": 60, "overlap": 0.0})
    desk.submit(workload, tasks["i00000"], "ann", truth(0))
    collect(lake, queue, workload, now=END)
    assert by_name(lake)["ann"].accuracy is None
