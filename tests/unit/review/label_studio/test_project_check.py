"""What Label Studio holds against what was asked: lost, changed and withdrawn."""

from flywheel.review.label_studio.project_check import compare_tasks

ASKED = {"a": "the paint runs", "b": "a dent"}
JUDGED = {"label_studio:7:1": "a", "local:3": "b", "label_studio:99:4": "b"}


def _task(item, text, *annotations, workload="w"):
    data = {"workload_id": workload, "item_id": item, "inference_id": item, "text": text}
    return {"data": data, "annotations": [{"id": number} for number in annotations]}


def _problems(*tasks):
    return compare_tasks("w", ASKED, JUDGED, {7: tasks, 8: []}).problems


def test_what_was_sent_and_answered_is_no_finding():
    """Judgments of another queue or of a file, and others' tasks, are passed over."""
    check = compare_tasks(
        "w",
        ASKED,
        JUDGED,
        {
            7: [_task("a", "the paint runs", 1), _task("x", "?", workload="v")],
            8: [_task("b", "a dent")],
        },
    )
    assert (check.tasks, check.problems) == (2, ())


def test_deleted_tasks_other_texts_and_lost_judgments_are_named():
    """Each with an item to look at."""
    assert _problems(_task("a", "the paint runs", 1)) == (
        "1 items were asked and have no task, such as b",
    )
    assert _problems(_task("a", "all is well", 1), _task("b", "a dent")) == (
        "1 tasks ask about another text than the lake, such as a",
    )
    (lost,) = _problems(_task("a", "the paint runs", 2), _task("b", "a dent"))
    assert lost.startswith("1 judgments that were pulled are gone, such as label_studio:7:1 on a")


def test_a_task_that_somebody_broke_stops_no_check():
    """Data that is no object has no item, which is then missing."""
    assert len(_problems({"data": ["?"], "annotations": []})) == 2
