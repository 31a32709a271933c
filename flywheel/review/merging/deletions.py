"""Annotations that were deleted: a task remembers them, so that a pull can tell of it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flywheel.io.records import Row
from flywheel.ports.review_queue import Annotation
from flywheel.review.queues.label_studio_format import annotation_from, moment, stamp
from flywheel.workload.model import Workload

__all__ = ["after", "deletion_of", "mark_deleted", "read_deletions"]

_TICK = timedelta(microseconds=1)


def after(now: datetime, earlier: Iterable[str]) -> str:
    """Return a time later than every earlier one, ``now`` where it is; versions stay in order."""
    return stamp(max([now, *(moment(text) + _TICK for text in earlier)]))


def mark_deleted(task: Row, removed: Iterable[Row], now: datetime) -> None:
    """Move annotations of a task to its tombstones."""
    removed = list(removed)
    ids = {raw["id"] for raw in removed}
    task["annotations"] = [raw for raw in task["annotations"] if raw["id"] not in ids]
    stones = task["meta"].setdefault("deleted", [])
    for raw in removed:
        at = after(now, [raw.get("updated_at") or raw["created_at"]])
        stones.append({"deleted_at": at, "annotation": raw})


def read_deletions(workload: Workload, task: Mapping[str, Any]) -> list[Annotation]:
    """Return the deletions of a task's annotations."""
    deletions = []
    for stone in task["meta"].get("deleted", ()):
        at = moment(stone["deleted_at"])
        deletions.append(_deleted(annotation_from(workload, task, stone["annotation"]), at))
    return deletions


def deletion_of(annotation: Annotation, now: datetime) -> Annotation:
    """Return the version of an annotation that says it was deleted."""
    return _deleted(annotation, moment(after(now, [stamp(annotation.updated_at)])))


def _deleted(annotation: Annotation, at: datetime) -> Annotation:
    version = f"{at:%Y%m%dT%H%M%S%fZ}-deleted"
    return replace(annotation, version=version, updated_at=at, deleted=True)
