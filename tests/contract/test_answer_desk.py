"""Rules of every answer desk, run on each adapter: who may answer what, and what is refused."""

from dataclasses import replace

import pytest

from flywheel.errors import DataError, NotFoundError, RefusedError
from tests.fakes.review_items import review_item

ANN, BEN, CLEO = "ann@plant.example", "ben@plant.example", "cleo@plant.example"


def items(queue, count, **changes):
    """Return items in order of priority."""
    return [review_item(queue.workload, number, **changes) for number in range(count)]


def open_ids(queue, person):
    """Return the items that a person is offered."""
    return [item.item_id for item in queue.open_items(person)]


def test_people_get_the_most_urgent_first(queue):
    """Items come in the order of their priority, with the model's answer where it may be seen."""
    blind = review_item(queue.workload, 7, slice="control", priority=3.5, model_output="oil fault")
    queue.push([*items(queue, 2, model_output="heat fault"), blind])
    tasks = queue.open_items(ANN)
    assert [task.item_id for task in tasks] == ["item0007", "item0000", "item0001"]
    assert [task.suggestion for task in tasks] == [None, "heat fault", "heat fault"]


def test_known_answer_cannot_be_told_from_a_control_item(queue):
    """What the page could show of the two differs in nothing but the item."""
    control, gold = (
        review_item(queue.workload, n, slice=name, reason=name, model_output="oil fault")
        for n, name in enumerate(("control", "gold"))
    )
    queue.push([control, gold])
    first, second = queue.open_items(ANN)
    own = {"item_id": "", "inference_id": "", "input": "", "priority": 0.0}
    assert replace(first, **own) == replace(second, **own)
    queue.submit("item0001", ANN, "heat fault")
    assert [a.item_id for a in queue.pull().annotations] == ["item0001"]


def test_an_adjudication_goes_to_somebody_else(queue):
    """Who judged an answer is not asked to adjudicate it; a third person is."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    queue.push(
        [review_item(queue.workload, 0, item_id="item0000-adjudication", slice="adjudication")]
    )
    open_ids = {
        person: [task.item_id for task in queue.open_items(person)] for person in (ANN, BEN)
    }
    assert open_ids == {ANN: [], BEN: ["item0000-adjudication"]}
    queue.submit("item0000-adjudication", BEN, "heat fault")
    assert {one.item_id for one in queue.pull().annotations} == {
        "item0000", "item0000-adjudication",
    }  # fmt: skip


def test_desk_and_queue_bear_one_name(queue):
    """The pair can be told to belong together."""
    assert queue.desk.name == queue.queue.name


def test_judgment_bears_the_name_of_its_person(queue):
    """What the desk returns is what the queue brings."""
    queue.push(items(queue, 1))
    given = queue.submit("item0000", ANN, "oil fault", seconds=2.0)
    (brought,) = queue.pull().annotations
    assert (given.annotator, given.kind, given.output) == (ANN, "answer", "oil fault")
    assert (brought.annotation_id, brought.annotator) == (given.annotation_id, ANN)


@pytest.mark.parametrize("name", ["", "  "])
def test_judgment_without_a_name_is_refused(queue, name):
    """Nobody answers or is offered items namelessly."""
    queue.push(items(queue, 1))
    with pytest.raises(DataError, match="name of the person"):
        queue.submit("item0000", name, "oil fault")
    with pytest.raises(DataError, match="name of the person"):
        queue.open_items(name)


@pytest.mark.parametrize(
    ("judgment", "problem"),
    [
        ({"output": "odour"}, "'odour' is not a label"),
        ({"output": None}, "the answer is missing"),
        ({"output": {"category": "oil fault"}}, "no label"),
        ({"kind": "new_category", "proposed_label": "  "}, "the new category has no name"),
        ({"kind": "unreadable"}, "nobody answers so"),
    ],
)
def test_unfit_judgment_is_refused_and_not_stored(queue, judgment, problem):
    """The error names the problem, and the item stays open."""
    queue.push(items(queue, 1))
    with pytest.raises(DataError, match=problem):
        queue.submit("item0000", ANN, **judgment)
    assert queue.status().judgments_given == 0
    assert open_ids(queue, ANN) == ["item0000"]


def test_unknown_item_is_an_error(queue):
    """To answer and to withdraw."""
    queue.push(items(queue, 1))
    with pytest.raises(NotFoundError, match="no review item item0009"):
        queue.submit("item0009", ANN, "oil fault")
    with pytest.raises(NotFoundError, match="no review item item0009"):
        queue.withdraw("item0009", ANN)


def test_item_takes_one_judgment_of_each_of_two_people(queue):
    """A third is refused; an edit by one of the two is not."""
    queue.push(items(queue, 1, judgments=2))
    queue.submit("item0000", ANN, "oil fault")
    assert (open_ids(queue, ANN), open_ids(queue, BEN)) == ([], ["item0000"])
    queue.submit("item0000", BEN, "heat fault")
    assert open_ids(queue, CLEO) == []
    with pytest.raises(RefusedError, match="All judgments on this item were given"):
        queue.submit("item0000", CLEO, "oil fault")
    queue.submit("item0000", ANN, "heat fault")
    outputs = {one.annotator: one.output for one in queue.pull().annotations}
    assert outputs == {ANN: "heat fault", BEN: "heat fault"}


def test_skipped_item_stays_open_for_others(queue):
    """Who skipped it is not asked again, and may answer it all the same."""
    queue.push(items(queue, 2))
    queue.submit("item0000", ANN, kind="skipped")
    assert (open_ids(queue, ANN), open_ids(queue, BEN)) == (
        ["item0001"],
        ["item0000", "item0001"],
    )
    queue.submit("item0000", ANN, "oil fault")
    assert open_ids(queue, BEN) == ["item0001"]
    (found,) = queue.pull().annotations
    assert (found.kind, found.output) == ("answer", "oil fault")


def test_withdrawn_judgment_opens_the_item_again(queue):
    """Undo: the person is asked again; without a judgment there is nothing to withdraw."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    assert queue.withdraw("item0000", BEN) is False
    assert queue.withdraw("item0000", ANN) is True
    assert queue.withdraw("item0000", ANN) is False
    assert open_ids(queue, ANN) == ["item0000"]
    queue.submit("item0000", ANN, "heat fault")
    assert queue.status().judgments_given == 1


def test_nobody_adjudicates_an_answer_that_they_judged(queue):
    """The desk refuses it also where the person was not offered the item."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    second = review_item(queue.workload, 0, item_id="item0000-adjudication", slice="adjudication")
    queue.push([second])
    with pytest.raises(RefusedError, match="judged this answer before"):
        queue.submit("item0000-adjudication", ANN, "heat fault")
    queue.submit("item0000-adjudication", BEN, "heat fault")


def test_an_adjudication_is_told_by_its_field(queue):
    """Its id may be any: the item in dispute stands in the task."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    changes = {"slice": "adjudication", "disputed_item_id": "item0000"}
    queue.push([review_item(queue.workload, 0, item_id="item0007", **changes)])
    assert (open_ids(queue, ANN), open_ids(queue, BEN)) == ([], ["item0007"])
    with pytest.raises(RefusedError, match="judged this answer before"):
        queue.submit("item0007", ANN, "heat fault")
