import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import NotFoundError, RefusedError
from flywheel.review.queues.local_desk import LocalAnswerDesk
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, classification

WORKLOAD = classification()


def open_ids(desk, annotator):
    """Return the items that a person is offered."""
    return [task.item_id for task in desk.open_items(WORKLOAD, annotator)]


def test_tasks_are_offered_by_priority_and_only_once(queue, desk):
    """Nobody sees an item again that they judged or skipped, nor one that is complete."""
    queue.push(WORKLOAD, [review_item(WORKLOAD, number) for number in (2, 0, 1)])
    assert open_ids(desk, "ann") == ["item0000", "item0001", "item0002"]
    desk.submit(WORKLOAD, "item0000", "ann", "oil fault")
    desk.submit(WORKLOAD, "item0001", "ann", kind="skipped")
    assert open_ids(desk, "ann") == ["item0002"]
    assert open_ids(desk, "ben") == ["item0001", "item0002"]


def test_task_shows_the_suggestion_but_nobody_elses_answer(queue, desk):
    """A person sees the model's answer, never a colleague's."""
    item = review_item(WORKLOAD, model_output="oil fault", judgments=2)
    queue.push(WORKLOAD, [item])
    desk.submit(WORKLOAD, "item0000", "ann", "heat fault")
    (task,) = desk.open_items(WORKLOAD, "ben")
    assert (task.suggestion, task.confidence) == ("oil fault", 0.41)
    assert "heat" not in repr(task)
    assert "ann" not in repr(task)


def test_control_task_shows_no_suggestion(queue, desk):
    """Even an item that carries the answer by mistake does not show it in the control slice."""
    queue.push(WORKLOAD, [review_item(WORKLOAD, model_output="oil fault", slice="control")])
    (task,) = desk.open_items(WORKLOAD, "ann")
    assert task.suggestion is None
    assert task.confidence is None


def test_adjudication_goes_to_another_person(queue, desk):
    """Whoever judged the answer is neither offered nor allowed its adjudication."""
    root = review_item(WORKLOAD)
    second = replace(root, item_id="item0000-adjudication", slice="adjudication")
    queue.push(WORKLOAD, [root])
    desk.submit(WORKLOAD, "item0000", "ann", "oil fault")
    queue.push(WORKLOAD, [second])
    assert open_ids(desk, "ann") == []
    assert open_ids(desk, "ben") == ["item0000-adjudication"]
    with pytest.raises(RefusedError):
        desk.submit(WORKLOAD, "item0000-adjudication", "ann", "oil fault")


def test_judgment_too_many_is_refused(queue, desk):
    """Judgments beyond what the item wants would break the budget."""
    queue.push(WORKLOAD, [review_item(WORKLOAD)])
    desk.submit(WORKLOAD, "item0000", "ann", "oil fault")
    with pytest.raises(RefusedError):
        desk.submit(WORKLOAD, "item0000", "ben", "oil fault")
    with pytest.raises(NotFoundError):
        desk.submit(WORKLOAD, "item0009", "ben", "oil fault")


def test_file_is_a_label_studio_task(queue, desk, tmp_path):
    """The file on disk has the fields that Label Studio imports."""
    queue.push(WORKLOAD, [review_item(WORKLOAD, model_output="oil fault")])
    desk.submit(WORKLOAD, "item0000", "ann", "heat fault", seconds=2.0)
    task = json.loads((tmp_path / "queue" / "defects" / "item0000.json").read_text())
    assert {"id", "data", "predictions", "annotations", "meta"} <= set(task)
    (annotation,) = task["annotations"]
    assert annotation["completed_by"]["email"] == "ann"
    assert annotation["lead_time"] == 2.0
    assert annotation["was_cancelled"] is False
    assert annotation["result"][0]["value"] == {"choices": ["heat fault"]}


def test_empty_file_left_by_a_power_failure_is_pushed_again(queue, desk, tmp_path):
    """A task that never reached the disk is set aside by its name until it is pushed again."""
    queue.push(WORKLOAD, [review_item(WORKLOAD)])
    (tmp_path / "queue" / "defects" / "item0000.json").write_text("")
    assert open_ids(desk, "ann") == []
    for aside in (queue.pull(WORKLOAD, None).set_aside, queue.status(WORKLOAD).set_aside):
        assert [one.item_id for one in aside] == ["item0000"]
        assert "is empty" in aside[0].reason
    assert queue.push(WORKLOAD, [review_item(WORKLOAD)]) == 1
    assert queue.pull(WORKLOAD, None).set_aside == ()


def answer_all(folder: Path, annotator: str) -> None:
    """Judge everything, taking refusals for what they are (runs in a process of its own)."""
    desk = LocalAnswerDesk(folder, ManualClock(END))
    for task in desk.open_items(WORKLOAD, annotator):
        try:
            desk.submit(WORKLOAD, task.item_id, annotator, "oil fault")
        except RefusedError:
            continue


def test_several_processes_lose_no_judgment(queue, tmp_path):
    """Four people at once give exactly the judgments that are wanted."""
    queue.push(WORKLOAD, [review_item(WORKLOAD, number, judgments=2) for number in range(15)])
    context = multiprocessing.get_context("fork")
    people = [
        context.Process(target=answer_all, args=(tmp_path / "queue", name))
        for name in ("simulated:a", "simulated:b", "simulated:c", "simulated:d")
    ]
    for person in people:
        person.start()
    for person in people:
        person.join(60)
    assert [person.exitcode for person in people] == [0, 0, 0, 0]
    status = queue.status(WORKLOAD)
    assert (status.answered, status.judgments_given) == (15, 30)
