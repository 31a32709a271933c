"""What every review queue must do, run on each adapter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.review.local_queue import LocalReviewQueue
from tests.fakes.review_items import review_item
from tests.fakes.review_world import END, classification

WORKLOAD = classification()


@pytest.fixture
def clock():
    """Return a clock that tests move."""
    return ManualClock(END)


@pytest.fixture(params=["local"])
def queue(request, tmp_path, clock):
    """Return an empty queue of each adapter."""
    return LocalReviewQueue(tmp_path / "queue", clock)


def items(count, **changes):
    """Return items in order of priority."""
    return [review_item(WORKLOAD, number, **changes) for number in range(count)]


def test_push_counts_what_is_new(queue):
    """A push that is repeated, in whole or in part, adds nothing twice."""
    assert queue.push(WORKLOAD, items(3)) == 3
    assert queue.push(WORKLOAD, items(5)) == 2
    assert queue.status(WORKLOAD).items == 5


def test_pushed_again_an_item_keeps_its_judgments(queue):
    """An item that is there already is left alone."""
    queue.push(WORKLOAD, items(1))
    queue.submit(WORKLOAD, "item0000", "ann", "oil fault")
    queue.push(WORKLOAD, [replace(items(1)[0], input="changed")])
    assert queue.status(WORKLOAD).judgments_given == 1
    assert queue.pull(WORKLOAD, None).annotations[0].output == "oil fault"


def test_status_counts_items_and_judgments(queue):
    """An item is answered when it has all the judgments it wants."""
    queue.push(WORKLOAD, items(2, judgments=2))
    queue.submit(WORKLOAD, "item0000", "ann", "oil fault")
    queue.submit(WORKLOAD, "item0000", "ben", "oil fault")
    queue.submit(WORKLOAD, "item0001", "ann", kind="skipped")
    status = queue.status(WORKLOAD)
    assert (status.items, status.answered) == (2, 1)
    assert (status.judgments_wanted, status.judgments_given) == (4, 2)


def test_empty_queue_answers(queue):
    """A workload without items has no tasks, no annotations and zeros."""
    assert queue.status(WORKLOAD).items == 0
    assert queue.pull(WORKLOAD, None).annotations == []


def test_pull_gives_everything_first_and_changes_later(queue, clock):
    """With a cursor only what changed since comes; the same version may come again."""
    queue.push(WORKLOAD, items(2))
    queue.submit(WORKLOAD, "item0000", "ann", "oil fault")
    first = queue.pull(WORKLOAD, None)
    clock.move_to(END + timedelta(hours=1))
    queue.submit(WORKLOAD, "item0001", "ann", "heat fault")
    later = queue.pull(WORKLOAD, first.cursor)
    assert [one.item_id for one in first.annotations] == ["item0000"]
    assert "item0001" in {one.item_id for one in later.annotations}
    clock.move_to(END + timedelta(hours=2))
    queue.submit(WORKLOAD, "item0000", "ann", "noise fault")
    last = queue.pull(WORKLOAD, later.cursor).annotations
    assert {one.output for one in last if one.item_id == "item0000"} == {"noise fault"}


def test_change_at_the_cursors_own_moment_is_not_lost(queue):
    """What happens in the instant of a pull comes with the next one."""
    queue.push(WORKLOAD, items(2))
    queue.submit(WORKLOAD, "item0000", "ann", "oil fault")
    cursor = queue.pull(WORKLOAD, None).cursor
    queue.submit(WORKLOAD, "item0001", "ann", "oil fault")
    found = queue.pull(WORKLOAD, cursor).annotations
    assert "item0001" in {one.item_id for one in found}


def test_edit_is_a_later_version_of_the_same_annotation(queue, clock):
    """The id stays, the version and the time move on."""
    queue.push(WORKLOAD, items(1))
    first = queue.submit(WORKLOAD, "item0000", "ann", "oil fault")
    clock.move_to(END + timedelta(minutes=1))
    second = queue.submit(WORKLOAD, "item0000", "ann", "heat fault")
    assert second.annotation_id == first.annotation_id
    assert second.version > first.version
    assert (second.created_at, second.updated_at) == (END, END + timedelta(minutes=1))


def test_deletion_is_told(queue):
    """A deleted annotation comes once more, marked, after its last version."""
    queue.push(WORKLOAD, items(1))
    queue.submit(WORKLOAD, "item0000", "ann", "oil fault")
    queue.withdraw(WORKLOAD, "item0000", "ann")
    (found,) = queue.pull(WORKLOAD, None).annotations
    assert found.deleted
    assert found.updated_at > END
    assert queue.status(WORKLOAD).judgments_given == 0


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
    queue.push(WORKLOAD, items(1))
    queue.submit(
        WORKLOAD, "item0000", "ann", output, kind=kind, proposed_label=proposed, seconds=3.5
    )
    (found,) = queue.pull(WORKLOAD, None).annotations
    assert (found.kind, found.output, found.proposed_label) == (kind, output, proposed)
    assert (found.annotator, found.seconds, found.simulated) == ("ann", 3.5, False)


def test_simulated_annotators_are_marked(queue):
    """A simulated judgment says so."""
    queue.push(WORKLOAD, items(1))
    queue.submit(WORKLOAD, "item0000", "simulated:ann", "oil fault")
    assert queue.pull(WORKLOAD, None).annotations[0].simulated
