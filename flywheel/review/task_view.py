"""A question as one annotator may see it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.ports.review_queue import ReviewSlice
from flywheel.review.label_studio_format import annotator_of

__all__ = ["Task", "has_met", "open_to", "seen_by_annotator"]


@dataclass(frozen=True)
class Task:
    """A question as one annotator may see it: without anybody else's answer.

    ``suggestion`` is the model's answer, None on control items.
    """

    item_id: str
    workload_id: str
    inference_id: str
    input: str
    suggestion: Any
    confidence: float | None
    slice: ReviewSlice
    reason: str
    priority: float


def seen_by_annotator(task: Mapping[str, Any]) -> Task:
    """Leave out of a task what its annotator may not see."""
    data, meta = task["data"], task["meta"]
    return Task(
        item_id=data["item_id"],
        workload_id=data["workload_id"],
        inference_id=data["inference_id"],
        input=data["text"],
        suggestion=meta.get("suggestion"),
        confidence=meta.get("confidence"),
        slice=data["slice"],
        reason=data["reason"],
        priority=float(meta["priority"]),
    )


def open_to(
    annotator: str,
    tasks: Sequence[Mapping[str, Any]],
    is_full: Callable[[Mapping[str, Any]], bool],
) -> list[Task]:
    """Return what a person can still judge, most urgent first.

    Whoever judged or skipped an answer once is not asked about it again, so that an adjudication
    goes to somebody else.
    """
    met = {task["data"]["inference_id"] for task in tasks if has_met(task, annotator)}
    open_ = [
        task for task in tasks if task["data"]["inference_id"] not in met and not is_full(task)
    ]
    open_.sort(key=lambda task: (-task["meta"]["priority"], task["data"]["item_id"]))
    return [seen_by_annotator(task) for task in open_]


def has_met(task: Mapping[str, Any], annotator: str) -> bool:
    """Say whether a person has judged or skipped a task."""
    return any(annotator_of(raw) == annotator for raw in task["annotations"])
