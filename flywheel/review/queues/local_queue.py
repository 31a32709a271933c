"""`LocalReviewQueue`: the review queue as a folder of Label Studio tasks, without a service.

People answer at `LocalAnswerDesk`, or in Label Studio itself: its JSON export is taken in as it is.
"""

import json
from collections.abc import Collection, Sequence
from copy import deepcopy
from pathlib import Path

from flywheel.clock import Clock
from flywheel.ports.review_queue import Annotation, Pull, QueueStatus, ReviewItem
from flywheel.review.merging.annotation_reading import read_annotations_of
from flywheel.review.merging.deletions import read_deletions
from flywheel.review.queues.label_studio_export import ExportReport, merge_export, read_export
from flywheel.review.queues.label_studio_format import micros, task_of
from flywheel.review.queues.task_files import TaskFiles
from flywheel.review.queues.task_view import judgments_of
from flywheel.review.queues.workload_tasks import WorkloadTasks, save_task
from flywheel.workload.model import Workload

__all__ = ["LocalReviewQueue"]


class LocalReviewQueue:
    """Keep tasks and annotations under one folder, a subfolder per workload."""

    name = "local"

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._tasks = WorkloadTasks(folder)
        self._clock = clock

    # -- the port ----------------------------------------------------------------------------

    def push(self, workload: Workload, items: Sequence[ReviewItem]) -> int:
        """Add items that are not there yet and return how many were new.

        One that is there and wants more judgments now is opened for another person.
        """
        files = self._tasks.of(workload.id)
        new = 0
        with files.lock():
            for item in items:
                if not files.has(item.item_id):
                    save_task(files, task_of(workload, item), self._clock.now(), durable=False)
                    new += 1
                elif item.judgments > 1:
                    self._open_for_more(files, item)
        return new

    def pull(self, workload: Workload, cursor: str | None) -> Pull:
        """Return the annotations of every task that changed at or after the cursor."""
        annotations: list[Annotation] = []
        files = self._tasks.of(workload.id)
        aside = files.damaged()
        newest = since = int(cursor or 0)
        for task in files.all():
            changed = micros(task["meta"]["changed_at"])
            if changed < since:
                continue
            newest = max(newest, changed)
            readable, bad = read_annotations_of(workload, task)
            annotations += readable + read_deletions(workload, task)
            aside += bad
        return Pull(annotations, str(newest), tuple(aside))

    def erase(
        self,
        workload: Workload,
        inference_ids: Collection[str],
        texts: Collection[str],  # noqa: ARG002 - no task shows another one's text here
    ) -> int:
        """Remove the task files about these answers, judgments included; return how many."""
        files = self._tasks.of(workload.id)
        words = [json.dumps(one, ensure_ascii=False).encode() for one in inference_ids]
        with files.lock():
            return files.remove_all(words)

    def status(self, workload: Workload) -> QueueStatus:
        """Count items and judgments."""
        files = self._tasks.of(workload.id)
        tasks = files.all()
        given_counts = [len(judgments_of(task)) for task in tasks]
        requested_counts = [task["meta"]["judgments"] for task in tasks]
        answered = sum(
            have >= want for have, want in zip(given_counts, requested_counts, strict=True)
        )
        touched = [t for t in tasks if t["annotations"] or t["meta"].get("deleted")]
        newest = max((micros(task["meta"]["changed_at"]) for task in touched), default=0)
        changed = f"{sum(given_counts)}-{newest}"
        aside = files.damaged()
        for task in touched:
            aside += read_annotations_of(workload, task)[1]
        return QueueStatus(
            len(tasks),
            answered,
            sum(requested_counts),
            sum(given_counts),
            changed,
            set_aside=tuple(aside),
        )

    # -- Label Studio's export -----------------------------------------------------------------

    def take_export(self, workload: Workload, path: Path, *, full: bool = True) -> ExportReport:
        """Take in a project's JSON export from Label Studio.

        Args:
            workload: whose items the project holds.
            path: the exported file.
            full: the file holds the whole project, so that what is missing was deleted.
        """
        exported = read_export(path, workload)
        files = self._tasks.of(workload.id)
        with files.lock():
            tasks = {task["data"]["item_id"]: deepcopy(task) for task in files.all()}
            damaged = {one.item_id for one in files.damaged()}
            report, changed = merge_export(
                tasks, exported, self._clock.now(), full=full, damaged=damaged
            )
            for task in changed:
                save_task(files, task, self._clock.now())
        return report

    # -- inside --------------------------------------------------------------------------------

    def _open_for_more(self, files: TaskFiles, item: ReviewItem) -> None:
        task = files.read(item.item_id)
        if task is not None and task["meta"]["judgments"] < item.judgments:
            task["meta"]["judgments"] = item.judgments
            save_task(files, task, self._clock.now())
