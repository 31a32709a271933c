"""The answer desk at the local queue's task files: `LocalAnswerDesk`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.clock import Clock
from flywheel.io.records import JsonObject
from flywheel.ports.answer_desk import OpenItem
from flywheel.ports.review_queue import Annotation, AnnotationKind
from flywheel.review.merging.deletions import after, mark_deleted
from flywheel.review.queues.judgment_rules import (
    JudgmentRules,
    check_may_judge,
    check_name,
    no_such_item,
)
from flywheel.review.queues.label_studio_format import (
    SIMULATED,
    annotation_from,
    annotation_key,
    annotator_of,
    result_of,
)
from flywheel.review.queues.task_files import TaskFiles
from flywheel.review.queues.task_view import is_complete, open_to
from flywheel.review.queues.workload_tasks import WorkloadTasks, save_task
from flywheel.review.sampling.item_ids import disputed_item_of
from flywheel.workload.model import Workload

__all__ = ["LocalAnswerDesk"]


class LocalAnswerDesk:
    """Take judgments into the task files of a `LocalReviewQueue`; safe for several processes.

    Args:
        folder: the queue's folder.
        clock: stamps the judgments.
    """

    name = "local"

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._tasks = WorkloadTasks(folder)
        self._clock = clock
        self._rules = JudgmentRules()

    def open_items(self, workload: Workload, annotator: str) -> list[OpenItem]:
        """Return what this person can still judge, most urgent first."""
        check_name(annotator)
        return open_to(annotator, self._tasks.of(workload.id).all(), is_complete)

    def submit(
        self,
        workload: Workload,
        item_id: str,
        annotator: str,
        output: Any = None,
        *,
        kind: AnnotationKind = "answer",
        proposed_label: str | None = None,
        seconds: float | None = None,
    ) -> Annotation:
        """Store a person's judgment; a second one by the same person replaces the first."""
        self._rules.check(workload, annotator, output, kind, proposed_label)
        files = self._tasks.of(workload.id)
        with files.lock():
            task = _task(files, workload, item_id)
            disputed_id = disputed_item_of(task["data"])
            disputed = None if disputed_id is None else files.read(disputed_id)
            check_may_judge(task, annotator, is_full=is_complete(task), disputed=disputed)
            raw = self._raw(workload, task, annotator)
            raw["was_cancelled"] = kind == "skipped"
            raw["result"] = result_of(workload, output, kind=kind, proposed_label=proposed_label)
            raw["lead_time"] = seconds
            others = [other for other in task["annotations"] if other["id"] != raw["id"]]
            task["annotations"] = [*others, raw]
            # A simulated judgment can be given again, a person's must not be lost.
            durable = not annotator.startswith(SIMULATED)
            save_task(files, task, self._clock.now(), durable=durable)
        return annotation_from(workload, task, raw)

    def withdraw(self, workload: Workload, item_id: str, annotator: str) -> bool:
        """Delete a person's judgment; return whether there was one."""
        files = self._tasks.of(workload.id)
        with files.lock():
            task = _task(files, workload, item_id)
            own = [raw for raw in task["annotations"] if annotator_of(raw) == annotator]
            if own:
                mark_deleted(task, own, self._clock.now())
                save_task(files, task, self._clock.now())
        return bool(own)

    def _raw(self, workload: Workload, task: Mapping[str, Any], annotator: str) -> JsonObject:
        number = annotation_key(workload.id, task["data"]["item_id"], annotator)
        own = next((raw for raw in task["annotations"] if raw["id"] == number), None)
        earlier = [own["updated_at"]] if own else []
        stones = task["meta"].get("deleted", ())
        earlier += [s["deleted_at"] for s in stones if s["annotation"]["id"] == number]
        now = after(self._clock.now(), earlier)
        return {
            "id": number,
            "task": task["id"],
            "completed_by": {"id": annotation_key(annotator), "email": annotator},
            "ground_truth": False,
            "created_at": own["created_at"] if own else now,
            "updated_at": now,
            "simulated": annotator.startswith(SIMULATED),
        }


def _task(files: TaskFiles, workload: Workload, item_id: str) -> JsonObject:
    task = files.read(item_id)
    if task is None:
        raise no_such_item(workload, item_id)
    return task
