"""A question as one annotator may see it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flywheel.ports.review_queue import ReviewSlice
from flywheel.review.queues.label_studio_format import annotator_of
from flywheel.review.sampling.item_ids import is_adjudication, root_of

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
    """Return what a person can still judge, most urgent first."""
    met: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for task in tasks:
        if has_met(task, annotator):
            met[task["data"]["inference_id"]].append(task)
    open_ = [
        task
        for task in tasks
        if _can_be_asked(task)
        and not is_full(task)
        and not _is_barred(task, met[task["data"]["inference_id"]])
    ]
    open_.sort(key=lambda task: (-task["meta"]["priority"], task["data"]["item_id"]))
    return [seen_by_annotator(task) for task in open_]


def _can_be_asked(task: Mapping[str, Any]) -> bool:
    # A task that came with an export may hold less than its form asks for.
    data, meta = task["data"], task["meta"]
    texts = ("item_id", "workload_id", "inference_id", "text", "slice", "reason")
    complete = all(isinstance(data.get(name), str) for name in texts)
    return complete and isinstance(meta.get("priority"), int | float)


def _is_barred(task: Mapping[str, Any], met: Iterable[Mapping[str, Any]]) -> bool:
    # By the tasks on the same answer that a person has met. Who judged or skipped an item does not
    # decide the dispute about it, and is asked no second time; a known answer that was asked again
    # later bars nobody from the first question.
    item_id, asked = str(task["data"]["item_id"]), _asked_at(task)
    for other in met:
        if root_of(str(other["data"]["item_id"])) == root_of(item_id):
            return True
        if not is_adjudication(item_id) and _asked_at(other) <= asked:
            return True
    return False


def _asked_at(task: Mapping[str, Any]) -> str:
    return str(task["meta"].get("chosen_at", ""))


def has_met(task: Mapping[str, Any], annotator: str) -> bool:
    """Say whether a person has judged or skipped a task."""
    return any(annotator_of(raw) == annotator for raw in task["annotations"])
