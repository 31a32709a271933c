"""Task JSON as one annotator may see it: `open_to` returns the items that a person can judge."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from flywheel.io.records import JsonObject
from flywheel.ports.answer_desk import OpenItem
from flywheel.review.merging.annotation_problems import structure_problem
from flywheel.review.queues.label_studio_format import annotator_of
from flywheel.review.sampling.item_ids import disputed_item_of

__all__ = ["has_met", "is_complete", "judgments_of", "open_to", "seen_by_annotator"]


def seen_by_annotator(task: Mapping[str, Any]) -> OpenItem:
    """Leave out of a task what its annotator may not see."""
    data, meta = task["data"], task["meta"]
    return OpenItem(
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
) -> list[OpenItem]:
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
    # later excludes no one from the first question.
    root, asked_at = _root(task["data"]), _asked_at(task)
    decides = disputed_item_of(task["data"]) is not None
    return any(
        _root(other["data"]) == root or (not decides and _asked_at(other) <= asked_at)
        for other in met
    )


def _root(data: Mapping[str, Any]) -> str:
    return disputed_item_of(data) or str(data["item_id"])


def _asked_at(task: Mapping[str, Any]) -> str:
    return str(task["meta"].get("chosen_at", ""))


def has_met(task: Mapping[str, Any], annotator: str) -> bool:
    """Return whether a person has judged or skipped a task."""
    return any(annotator_of(raw) == annotator for raw in task["annotations"])


def judgments_of(task: Mapping[str, Any]) -> list[JsonObject]:
    """Return the annotations that count as judgments in the local queue.

    One whose answer cannot be read is not a judgment: the item stays open for another person.
    """
    return [
        raw
        for raw in task["annotations"]
        if not raw.get("was_cancelled") and structure_problem(raw) is None
    ]


def is_complete(task: Mapping[str, Any]) -> bool:
    """Return whether a task of the local queue has all the judgments that it asks for."""
    return len(judgments_of(task)) >= int(task["meta"]["judgments"])
