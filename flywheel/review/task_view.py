"""A question as one annotator may see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flywheel.ports.review_queue import ReviewSlice

__all__ = ["Task", "seen_by_annotator"]


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
