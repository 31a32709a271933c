"""`WorkloadTasks`: the task files of each workload of a local queue, and how a change is stamped."""

from datetime import datetime
from pathlib import Path

from flywheel.io.records import JsonObject
from flywheel.review.queues.label_studio_format import stamp
from flywheel.review.queues.task_files import TaskFiles

__all__ = ["WorkloadTasks", "save_task"]


class WorkloadTasks:
    """A folder per workload; what was read of a file that did not change is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, TaskFiles] = {}

    def of(self, workload_id: str) -> TaskFiles:
        """Return the task files of a workload."""
        return self._files.setdefault(workload_id, TaskFiles(self._folder / workload_id))


def save_task(files: TaskFiles, task: JsonObject, now: datetime, *, durable: bool = True) -> None:
    """Stamp a task as changed and write it; the caller holds the lock."""
    at = stamp(now)
    task["updated_at"] = at
    task["meta"] |= {"changed_at": at}
    files.write(task["data"]["item_id"], task, durable=durable)
