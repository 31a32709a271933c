"""Labels that look wrong, from the lake to the queue and back; the fit itself has its own tests."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.lake.tables import TABLES
from flywheel.lake.views import label_checks_batch
from flywheel.review.merging.annotator_figures import annotator_figures
from flywheel.review.merging.collect import collect
from flywheel.review.sampling import label_checks
from flywheel.review.sampling.gold import read_known_answers
from flywheel.review.sampling.label_checks import allowed_checks
from flywheel.review.sampling.label_errors import DoubtfulLabel
from flywheel.review.sampling.sent_items import read_sent, spending
from tests.fakes.review_world import (
    END,
    answer,
    classification,
    put_answers,
    sample_week,
    truth,
)

pytestmark = pytest.mark.usefixtures("vectors_taken_once")
DAY = timedelta(days=1)


@pytest.fixture
def doubt(monkeypatch):
    """Doubt every label, the given texts first, and return what was fitted on."""
    seen = []

    def all_of_them(texts, labels, *, seed):
        seen.append(dict(zip(texts, labels, strict=True)))
        return [DoubtfulLabel(place, 0.001 * place, "heat") for place in range(len(texts))]

    monkeypatch.setattr(label_checks, "doubtful_labels", all_of_them)
    return seen


@pytest.fixture
def labeled(lake, queue, desk, filled_once):
    """Return a function that lets ann answer a week's batch, and ben another item."""

    def label(share=0.2):
        return filled_once(share, lambda: _labeled(lake, queue, desk, share=share))

    return label


def _labeled(lake, queue, desk, *, share, budget=60, count=60):
    # Ben is there to be asked.
    review = {"budget": budget, "overlap": 0.0, "gold": 0.0, "label_checks": share}
    workload = classification(review=review)
    put_answers(lake, workload, [answer(number) for number in range(count)])
    sample_week(lake, queue, workload, budget=20)
    tasks = desk.open_items(workload, "ann")
    for task in tasks[:-1]:
        desk.submit(workload, task.item_id, "ann", truth(int(task.inference_id[1:])))
    last = tasks[-1]
    desk.submit(workload, last.item_id, "ben", truth(int(last.inference_id[1:])))
    return workload


def checks_of(lake, workload):
    """Return the label checks that were sent."""
    sent = [entry.item for entry in read_sent(lake, workload.id)]
    checks = [item for item in sent if item.batch_id == label_checks_batch(item.batch_id[:6])]
    assert {item.slice for item in checks} <= {"adjudication"}
    return checks


@pytest.mark.parametrize(
    ("numbers", "allowed"),
    [
        ({"budget": 400, "sent": 100, "held_back": 0, "checked": 0}, 5),
        ({"budget": 400, "sent": 100, "held_back": 0, "checked": 4}, 1),
        ({"budget": 400, "sent": 100, "held_back": 0, "checked": 6}, 0),
        ({"budget": 103, "sent": 100, "held_back": 1, "checked": 0}, 2),
        ({"budget": 90, "sent": 100, "held_back": 1, "checked": 0}, 0),
    ],
)
def test_checks_are_a_share_of_what_was_sent_and_never_break_the_budget(numbers, allowed):
    """What disputes may still need is not spent on checks."""
    assert allowed_checks(0.05, **numbers) == allowed


def test_doubtful_label_is_decided_by_somebody_else(lake, queue, desk, doubt, labeled):
    """The check shows neither the accepted label nor the model's answer, and its answer counts."""
    workload = labeled()
    assert collect(lake, queue, workload, now=END).label_checks == 4
    check = checks_of(lake, workload)[0]
    assert (check.model_output, check.confidence, check.judgments) == (None, None, 1)
    assert "fault" not in check.reason
    root = check.item_id.removesuffix("-adjudication")
    (before,) = lake.rows("SELECT * FROM latest_corrections WHERE correction_id = ?", [root])
    assert before["annotators"] == ["ann"]
    assert check.item_id not in {t.item_id for t in desk.open_items(workload, "ann")}
    desk.submit(workload, check.item_id, "ben", "noise fault")
    collect(lake, queue, workload, now=END + DAY)
    (after,) = lake.rows("SELECT * FROM latest_corrections WHERE correction_id = ?", [root])
    assert (after["output"], after["status"]) == ('"noise fault"', "accepted")
    assert (after["annotators"], after["version"]) == (["ann", "ben"], 2)


def test_control_items_are_neither_fitted_on_nor_asked_again(lake, queue, desk, doubt, labeled):
    """Deciding again on some of them would bias their figure."""
    workload = labeled()
    collect(lake, queue, workload, now=END)
    control = {e.item.input for e in read_sent(lake, workload.id) if e.item.slice == "control"}
    assert control
    assert not control & set(doubt[0])
    assert not control & {check.input for check in checks_of(lake, workload)}


def test_cases_of_evaluation_sets_are_neither_fitted_on_nor_asked_again(
    lake, queue, desk, doubt, labeled
):
    """They decide gates; a row that trains is like any other."""
    workload = labeled(share=0.5)
    sent = [e.item for e in read_sent(lake, workload.id) if e.item.slice != "control"]
    splits = dict(zip(("golden", "holdout", "must_not_lose", "train"), sent, strict=False))
    rows = [
        {"workload_id": workload.id, "split": split, "correction_id": item.item_id}
        for split, item in splits.items()
    ]
    schema = TABLES["dataset_rows"].schema
    lake.append("dataset_rows", pa.Table.from_pylist(rows, schema=schema))
    collect(lake, queue, workload, now=END)
    fitted = {item.input for item in sent} & set(doubt[0])
    assert {item.input for item in sent} - fitted == {
        item.input for split, item in splits.items() if split != "train"
    }


def test_checks_count_in_the_period_they_are_asked_in(lake, queue, desk, doubt, labeled):
    """They are judgments like any other, and the share is not asked twice on one day."""
    workload = labeled()
    before = spending(lake, workload.id, "2026Q1").sent
    collect(lake, queue, workload, now=END)
    assert spending(lake, workload.id, "2026Q1").sent == before + 4
    assert collect(lake, queue, workload, now=END + timedelta(hours=1)).label_checks == 0
    assert len(doubt) == 1


def test_no_check_without_somebody_else_to_ask(lake, queue, desk, doubt):
    """A workload with one annotator asks nobody to judge themselves."""
    review = {"budget": 60, "overlap": 0.0, "gold": 0.0, "label_checks": 0.5}
    workload = classification(review=review)
    put_answers(lake, workload, [answer(number) for number in range(30)])
    sample_week(lake, queue, workload, budget=20)
    for task in desk.open_items(workload, "ann"):
        desk.submit(workload, task.item_id, "ann", truth(1))
    assert collect(lake, queue, workload, now=END).label_checks == 0


def test_share_of_nothing_turns_checks_off(lake, queue, desk, doubt, labeled):
    """Nothing is fitted then."""
    workload = labeled(share=0.0)
    assert collect(lake, queue, workload, now=END).label_checks == 0
    assert doubt == []


def test_label_is_checked_once(lake, queue, desk, doubt, labeled):
    """Whoever decided it settled it, whatever a later fit says."""
    workload = labeled(share=0.5)
    collect(lake, queue, workload, now=END)
    first = {check.item_id for check in checks_of(lake, workload)}
    for task in desk.open_items(workload, "ben"):
        desk.submit(workload, task.item_id, "ben", truth(int(task.inference_id[1:])))
    collect(lake, queue, workload, now=END + DAY)
    items = [check.item_id for check in checks_of(lake, workload)]
    assert first <= set(items)
    assert len(items) == len(set(items))


def test_check_that_cannot_be_told_leaves_the_label_accepted(lake, queue, desk, doubt, labeled):
    """Nobody disputed the label, and nothing is written again."""
    workload = labeled()
    collect(lake, queue, workload, now=END)
    check = checks_of(lake, workload)[0]
    desk.submit(workload, check.item_id, "ben", kind="cant_tell")
    assert collect(lake, queue, workload, now=END + DAY).corrections == {}
    (row,) = correction_of(lake, check)
    assert (row["status"], row["annotators"], row["version"]) == ("accepted", ["ann"], 1)


def test_nobody_overrules_two_who_agreed(lake, queue, desk, doubt):
    """What two people gave is fitted on, and not asked again."""
    review = {"budget": 90, "overlap": 1.0, "gold": 0.0, "label_checks": 0.5}
    workload = classification(review=review)
    put_answers(lake, workload, [answer(number) for number in range(60)])
    sample_week(lake, queue, workload, budget=30)
    tasks = desk.open_items(workload, "ann")
    for task in tasks:
        for name in ("ann", "ben"):
            desk.submit(workload, task.item_id, name, truth(int(task.inference_id[1:])))
    # Somebody else is there to be asked, but of one item alone.
    lone = classification(review=review | {"overlap": 0.0})
    put_answers(lake, lone, [answer(200, timestamp=END + timedelta(hours=1))], offset=200)
    sample_week(lake, queue, lone, week=1, now=END + 8 * DAY, budget=3)
    (new,) = desk.open_items(lone, "chi")
    desk.submit(lone, new.item_id, "chi", truth(200))
    assert collect(lake, queue, workload, now=END + 8 * DAY).verdicts["accepted"] > 2
    assert len(doubt[0]) > 1
    assert {check.inference_id for check in checks_of(lake, workload)} <= {new.inference_id}


@pytest.mark.parametrize("overturned", [True, False])
def test_checked_label_measures_nobody_and_is_no_gold(
    lake, queue, desk, doubt, overturned, labeled
):
    """Only suspicious labels are checked, and one person stands against one."""
    workload = labeled()
    collect(lake, queue, workload, now=END)
    check = checks_of(lake, workload)[0]
    (before,) = correction_of(lake, check)
    said = '"noise fault"' if before["output"] != '"noise fault"' else '"heat fault"'
    desk.submit(
        workload, check.item_id, "ben", json.loads(said if overturned else before["output"])
    )
    collect(lake, queue, workload, now=END + DAY)
    (after,) = correction_of(lake, check)
    assert after["annotators"] == ["ann", "ben"]
    figures = {one.annotator: one for one in annotator_figures(lake, workload)}
    assert (figures["ann"].checked, figures["ann"].accuracy) == (0, None)
    # Somebody who has not met it must be there for it to be asked as gold.
    (other,) = desk.open_items(workload, "chi")[:1]
    desk.submit(workload, other.item_id, "chi", kind="cant_tell")
    collect(lake, queue, workload, now=END + DAY)
    assert read_known_answers(lake, workload, END + DAY) == []


def correction_of(lake, check):
    """Return the latest version of the correction that a check is about, as rows."""
    root = check.item_id.removesuffix("-adjudication")
    return lake.rows("SELECT * FROM latest_corrections WHERE correction_id = ?", [root])


def test_checks_are_pushed_as_the_lake_holds_them(lake, queue, desk, doubt, pushes, labeled):
    """A merge that adds checks pushes what a later one would read."""
    workload = labeled()
    assert collect(lake, queue, workload, now=END).label_checks == 4
    sent = [entry.item for entry in read_sent(lake, workload.id)]
    checks = [item for item in sent if item.batch_kind == "labels"]
    assert [item for item in pushes[-1] if item.batch_kind == "labels"] == checks
