"""What every review queue must do, run on each adapter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.review_items import review_item

ANN, BEN = "ann@plant.example", "ben@plant.example"


def items(queue, count, **changes):
    """Return items in order of priority."""
    return [review_item(queue.workload, number, **changes) for number in range(count)]


def test_push_counts_what_is_new(queue):
    """A push that is repeated, in whole or in part, adds nothing twice."""
    assert queue.push(items(queue, 3)) == 3
    assert queue.push(items(queue, 5)) == 2
    assert queue.status().items == 5


def test_pushed_again_an_item_keeps_its_judgments(queue):
    """An item that is there already is left alone."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    queue.push([replace(items(queue, 1)[0], input="changed")])
    assert queue.status().judgments_given == 1
    assert queue.pull().annotations[0].output == "oil fault"


def test_item_that_wants_more_judgments_is_opened_for_somebody_else(queue):
    """Who judged it first is not asked again, and the rest of the item stays as it was."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    queue.push([replace(items(queue, 1)[0], judgments=2)])
    open_ids = {
        person: [task.item_id for task in queue.open_items(person)] for person in (ANN, BEN)
    }
    assert open_ids == {ANN: [], BEN: ["item0000"]}
    status = queue.status()
    assert (status.answered, status.judgments_wanted, status.judgments_given) == (0, 2, 1)
    queue.submit("item0000", BEN, "heat fault")
    queue.push(items(queue, 1))  # a push of before, repeated
    assert {one.output for one in queue.pull().annotations} == {"oil fault", "heat fault"}
    assert queue.status().answered == 1


def test_status_counts_items_and_judgments(queue):
    """An item is answered when it has all the judgments it wants."""
    queue.push(items(queue, 2, judgments=2))
    queue.submit("item0000", ANN, "oil fault")
    queue.submit("item0000", BEN, "oil fault")
    queue.submit("item0001", ANN, kind="skipped")
    status = queue.status()
    assert (status.items, status.answered) == (2, 1)
    assert (status.judgments_wanted, status.judgments_given) == (4, 2)


def test_status_tells_of_every_change(queue):
    """Also an edit and a deletion with a new judgment, which leave the numbers as they were."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    first = queue.status()
    queue.pass_time(seconds=1)
    queue.submit("item0000", ANN, "heat fault")
    second = queue.status()
    assert second.judgments_given == first.judgments_given
    assert second.changed != first.changed
    assert queue.status().changed == second.changed


def test_empty_queue_answers(queue):
    """A workload without items has no tasks, no annotations and zeros."""
    assert queue.status().items == 0
    assert queue.pull().annotations == []


def test_pull_gives_everything_first_and_changes_later(queue):
    """With a cursor only what changed since comes; the same version may come again."""
    queue.push(items(queue, 2))
    queue.submit("item0000", ANN, "oil fault")
    first = queue.pull()
    queue.pass_time(hours=1)
    queue.submit("item0001", ANN, "heat fault")
    later = queue.pull(first.cursor)
    assert [one.item_id for one in first.annotations] == ["item0000"]
    assert "item0001" in {one.item_id for one in later.annotations}
    assert int(later.cursor) > int(first.cursor)
    queue.pass_time(hours=1)
    queue.submit("item0000", ANN, "noise fault")
    last = queue.pull(later.cursor).annotations
    assert {one.output for one in last if one.item_id == "item0000"} == {"noise fault"}


def test_change_at_the_cursors_own_moment_is_not_lost(queue):
    """What happens in the instant of a pull comes with the next one."""
    queue.push(items(queue, 2))
    queue.submit("item0000", ANN, "oil fault")
    cursor = queue.pull().cursor
    queue.submit("item0001", ANN, "oil fault")
    found = queue.pull(cursor).annotations
    assert "item0001" in {one.item_id for one in found}


def test_edit_is_a_later_version_of_the_same_annotation(queue):
    """The id stays, the version and the time move on."""
    queue.push(items(queue, 1))
    first = queue.submit("item0000", ANN, "oil fault")
    queue.pass_time(minutes=1)
    second = queue.submit("item0000", ANN, "heat fault")
    assert second.annotation_id == first.annotation_id
    assert second.version > first.version
    assert second.created_at == first.created_at
    assert second.updated_at > first.updated_at


@pytest.mark.parametrize("everything", [True, False])
def test_deletion_is_told(queue, everything):
    """An annotation that was seen and deleted comes once more, marked, after its last version."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, "oil fault")
    seen = queue.pull()
    queue.pass_time(minutes=1)
    queue.withdraw("item0000", ANN)
    (found,) = queue.pull(None if everything else seen.cursor).annotations
    assert found.deleted
    assert found.annotation_id == seen.annotations[0].annotation_id
    assert found.output == "oil fault"
    assert found.updated_at > seen.annotations[0].updated_at
    assert queue.status().judgments_given == 0


@pytest.mark.parametrize(
    ("kind", "output", "proposed"),
    [
        ("answer", "oil fault", None),
        ("cant_tell", None, None),
        ("skipped", None, None),
        ("new_category", None, "battery swelling"),
    ],
)
def test_every_kind_of_judgment_survives(queue, kind, output, proposed):
    """What a person said comes back as it was said, with the seconds it took."""
    queue.push(items(queue, 1))
    queue.submit("item0000", ANN, output, kind=kind, proposed_label=proposed, seconds=3.5)
    (found,) = queue.pull().annotations
    assert (found.kind, found.output, found.proposed_label) == (kind, output, proposed)
    assert (found.annotator, found.seconds, found.simulated) == (ANN, 3.5, False)
    assert timedelta(0) <= found.updated_at - found.created_at < timedelta(minutes=1)


def test_simulated_annotators_are_marked(queue):
    """A simulated judgment says so."""
    queue.push(items(queue, 1))
    queue.submit("item0000", "simulated:ann", "oil fault")
    (found,) = queue.pull().annotations
    assert (found.annotator, found.simulated) == ("simulated:ann", True)


def test_an_erased_answer_is_gone_with_its_judgments(queue):
    """The item and what people said of it; others stay, and a repetition finds nothing."""
    items = [review_item(queue.workload, number) for number in (1, 2)]
    queue.push(items)
    queue.submit("item0001", ANN, "oil fault")
    queue.submit("item0002", ANN, "oil fault")
    assert queue.erase({"i00001"}, {"report 1"}) == 1
    assert [one.item_id for one in queue.pull().annotations] == ["item0002"]
    assert queue.status().items == 1
    assert queue.erase({"i00001"}, {"report 1"}) == 0
