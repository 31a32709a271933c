"""Versions of deletions: later than what they delete, whatever the clock says."""

from datetime import timedelta

from flywheel.review.merging.deletions import after, mark_deleted
from flywheel.review.queues.label_studio_format import moment, stamp
from tests.fakes.review_world import END

HOUR = timedelta(hours=1)


def test_deletion_is_later_than_every_version():
    """A clock that is behind gives the tick after the newest; one that is not gives its own time."""
    earlier = [stamp(END), stamp(END - HOUR)]
    assert moment(after(END + HOUR, earlier)) == END + HOUR
    assert moment(after(END - HOUR, earlier)) == END + timedelta(microseconds=1)
    assert moment(after(END, earlier)) > END


def test_annotation_without_an_update_is_deleted_after_it_was_made():
    """Scripts write no time of the last change."""
    made = {"id": 1, "created_at": stamp(END)}
    changed = {"id": 2, "created_at": stamp(END - HOUR), "updated_at": stamp(END + HOUR)}
    task = {"annotations": [made, changed, {"id": 3}], "meta": {}}
    mark_deleted(task, [made, changed], END - HOUR)
    assert task["annotations"] == [{"id": 3}]
    times = [moment(stone["deleted_at"]) for stone in task["meta"]["deleted"]]
    assert times == [END + timedelta(microseconds=1), END + HOUR + timedelta(microseconds=1)]
