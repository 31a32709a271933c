"""The review queue as a folder of Label Studio tasks, for one machine and no service.

People answer through `submit`, or in Label Studio itself: its JSON export is taken in as it is.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from flywheel.clock import Clock
from flywheel.errors import NotFoundError, RefusedError
from flywheel.ports.review_queue import (
    Annotation,
    AnnotationKind,
    Pull,
    QueueStatus,
    ReviewItem,
)
from flywheel.review.merging.annotation_problems import structure_problem
from flywheel.review.merging.annotation_reading import read_annotations_of
from flywheel.review.merging.deletions import after, buried, bury
from flywheel.review.queues.label_studio_export import ExportReport, merge_export, read_export
from flywheel.review.queues.label_studio_format import (
    SIMULATED,
    annotation_from,
    annotation_key,
    annotator_of,
    micros,
    result_of,
    stamp,
    task_of,
)
from flywheel.review.queues.task_files import TaskFiles
from flywheel.review.queues.task_view import Task, has_met, open_to
from flywheel.review.sampling.item_ids import is_adjudication, root_of
from flywheel.workload.model import Workload

__all__ = ["LocalReviewQueue"]


class LocalReviewQueue:
    """Keep tasks and annotations under one folder, a subfolder per workload."""

    name = "local"

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._workloads: dict[str, TaskFiles] = {}

    # -- the port ----------------------------------------------------------------------------

    def push(self, workload: Workload, items: Sequence[ReviewItem]) -> int:
        """Add items that are not there yet and return how many were new.

        One that is there and wants more judgments now is opened for another person.
        """
        files = self._files(workload.id)
        new = 0
        with files.lock():
            for item in items:
                if not files.has(item.item_id):
                    self._write(files, task_of(workload, item), durable=False)
                    new += 1
                elif item.judgments > 1:
                    self._open_for_more(files, item)
        return new

    def pull(self, workload: Workload, cursor: str | None) -> Pull:
        """Return the annotations of every task that changed at or after the cursor."""
        found: list[Annotation] = []
        files = self._files(workload.id)
        aside = files.damaged()
        newest = since = int(cursor or 0)
        for task in files.all():
            changed = micros(task["meta"]["changed_at"])
            if changed < since:
                continue
            newest = max(newest, changed)
            good, bad = read_annotations_of(workload, task)
            found += good + buried(workload, task)
            aside += bad
        return Pull(found, str(newest), tuple(aside))

    def erase(
        self,
        workload: Workload,
        inference_ids: Collection[str],
        texts: Collection[str],  # noqa: ARG002 - no task shows another one's text here
    ) -> int:
        """Remove the task files about these answers, judgments included; return how many."""
        files = self._files(workload.id)
        words = [json.dumps(one, ensure_ascii=False).encode() for one in inference_ids]
        with files.lock():
            return files.remove_all(words)

    def status(self, workload: Workload) -> QueueStatus:
        """Count items and judgments."""
        files = self._files(workload.id)
        tasks = files.all()
        given = [len(_judgments(task)) for task in tasks]
        wanted = [task["meta"]["judgments"] for task in tasks]
        answered = sum(have >= want for have, want in zip(given, wanted, strict=True))
        touched = [t for t in tasks if t["annotations"] or t["meta"].get("deleted")]
        newest = max((micros(task["meta"]["changed_at"]) for task in touched), default=0)
        changed = f"{sum(given)}-{newest}"
        aside = files.damaged()
        for task in touched:
            aside += read_annotations_of(workload, task)[1]
        return QueueStatus(
            len(tasks), answered, sum(wanted), sum(given), changed, set_aside=tuple(aside)
        )

    # -- people ------------------------------------------------------------------------------

    def open_tasks(self, workload_id: str, annotator: str) -> list[Task]:
        """Return what this person can still judge, most urgent first."""
        return open_to(annotator, self._files(workload_id).all(), _is_full)

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
        """Store a person's judgment; a second one by the same person replaces the first.

        Raises:
            NotFoundError: there is no such item.
            RefusedError: others gave all judgments meanwhile, or the person judged the answer
                that this item adjudicates.
        """
        files = self._files(workload.id)
        with files.lock():
            task = files.read(item_id)
            if task is None:
                raise NotFoundError(
                    f"There is no review item {item_id} in {workload.id}.",
                    next_step="ask for the open tasks again",
                )
            self._check_may_judge(files, task, annotator)
            raw = self._raw(workload, task, annotator)
            raw["was_cancelled"] = kind == "skipped"
            raw["result"] = result_of(workload, output, kind=kind, proposed_label=proposed_label)
            raw["lead_time"] = seconds
            kept = [other for other in task["annotations"] if other["id"] != raw["id"]]
            task["annotations"] = [*kept, raw]
            # A simulated judgment can be given again, a person's must not be lost.
            self._write(files, task, durable=not annotator.startswith(SIMULATED))
        return annotation_from(workload, task, raw)

    def withdraw(self, workload: Workload, item_id: str, annotator: str) -> bool:
        """Delete a person's judgment; return whether there was one."""
        files = self._files(workload.id)
        with files.lock():
            task = files.read(item_id)
            gone = [r for r in (task or {"annotations": []})["annotations"] if _by(r, annotator)]
            if task is None or not gone:
                return False
            bury(task, gone, self._clock.now())
            self._write(files, task)
        return True

    # -- Label Studio's export -----------------------------------------------------------------

    def take_export(self, workload: Workload, path: Path, *, full: bool = True) -> ExportReport:
        """Take in a project's JSON export from Label Studio.

        Args:
            workload: whose items the project holds.
            path: the exported file.
            full: the file holds the whole project, so that what is missing was deleted.
        """
        exported = read_export(path, workload)
        files = self._files(workload.id)
        with files.lock():
            tasks = {task["data"]["item_id"]: deepcopy(task) for task in files.all()}
            damaged = {one.item_id for one in files.damaged()}
            report, changed = merge_export(
                tasks, exported, self._clock.now(), full=full, damaged=damaged
            )
            for task in changed:
                self._write(files, task)
        return report

    # -- inside --------------------------------------------------------------------------------

    def _files(self, workload_id: str) -> TaskFiles:
        return self._workloads.setdefault(workload_id, TaskFiles(self._folder / workload_id))

    def _write(self, files: TaskFiles, task: dict[str, Any], *, durable: bool = True) -> None:
        now = stamp(self._clock.now())
        task["updated_at"] = now
        task["meta"] |= {"changed_at": now}
        files.write(task["data"]["item_id"], task, durable=durable)

    def _open_for_more(self, files: TaskFiles, item: ReviewItem) -> None:
        task = files.read(item.item_id)
        if task is not None and task["meta"]["judgments"] < item.judgments:
            task["meta"]["judgments"] = item.judgments
            self._write(files, task)

    def _check_may_judge(self, files: TaskFiles, task: dict[str, Any], annotator: str) -> None:
        if has_met(task, annotator):
            return  # an edit of their own
        if _is_full(task):
            raise RefusedError(
                "All judgments on this item were given meanwhile.", next_step="take the next item"
            )
        item_id = task["data"]["item_id"]
        disputed = files.read(root_of(item_id)) if is_adjudication(item_id) else None
        if disputed is not None and has_met(disputed, annotator):
            raise RefusedError(
                f"{annotator} judged this answer before and cannot adjudicate it.",
                next_step="let another person decide",
            )

    def _raw(self, workload: Workload, task: dict[str, Any], annotator: str) -> dict[str, Any]:
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


def _judgments(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    # One whose answer cannot be read is no judgment: the item stays open for another.
    return [
        raw
        for raw in task["annotations"]
        if not raw.get("was_cancelled") and structure_problem(raw) is None
    ]


def _is_full(task: Mapping[str, Any]) -> bool:
    return len(_judgments(task)) >= int(task["meta"]["judgments"])


def _by(raw: dict[str, Any], annotator: str) -> bool:
    return annotator_of(raw) == annotator
