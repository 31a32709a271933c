"""The annotations of a task, and those that are set aside: `read_annotations_of`."""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import DataError
from flywheel.ports.review_queue import Annotation, SetAside
from flywheel.review.merging.annotation_problems import storable, unreadable_reason
from flywheel.review.queues.label_studio_format import (
    annotation_from,
    annotation_id,
    annotator_of,
    moment,
)
from flywheel.workload.model import Workload

__all__ = ["identity_problem", "read_annotations_of", "reason_of", "set_aside_of"]


def read_annotations_of(
    workload: Workload, task: Mapping[str, Any]
) -> tuple[list[Annotation], list[SetAside]]:
    """Read every annotation of a task that is ours.

    Returns:
        The annotations, those whose answer cannot be read among them (kind ``unreadable``), and
        those without a usable identity or time.
    """
    read: list[Annotation] = []
    aside: list[SetAside] = []
    for raw in task["annotations"]:
        problem = identity_problem(raw)
        if problem is None:
            read.append(annotation_from(workload, task, storable(raw)))
        else:
            aside.append(set_aside_of(task, raw, problem))
    return read, aside


def identity_problem(raw: Any) -> str | None:
    """Return why a raw annotation has no usable identity or time; None where it has both."""
    if not isinstance(raw, Mapping):
        return "it is not an object"
    identity = raw.get("id")
    if not isinstance(identity, int | str) or isinstance(identity, bool) or identity == "":
        return "it has no id"
    times = [raw[key] for key in ("created_at", "updated_at") if raw.get(key)]
    if not times:
        return "it does not say when it was made"
    for time in times:
        try:
            moment(time)
        except DataError as error:
            return error.message
    return None


def set_aside_of(task: Mapping[str, Any], raw: Any, reason: str) -> SetAside:
    """Describe a raw annotation that is set aside, as far as it says who and what it is."""
    item_id = str(task.get("data", {}).get("item_id", ""))
    if not isinstance(raw, Mapping):
        return SetAside(f"an annotation of {item_id}", None, reason, item_id)
    identity = annotation_id(task, raw) if "id" in raw else f"an annotation of {item_id}"
    author = annotator_of(raw) if raw.get("completed_by") else None
    return SetAside(identity, author, reason, item_id)


def reason_of(workload: Workload, annotation: Annotation) -> SetAside:
    """Describe an annotation of kind ``unreadable``, by what it holds now."""
    reason = unreadable_reason(workload, annotation.raw) or "it could not be read when it came"
    return SetAside(annotation.annotation_id, annotation.annotator, reason, annotation.item_id)
