"""A folder of task files: one JSON file per task, written atomically, one writer at a time."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.errors import DataError, IntegrityError

__all__ = ["TaskFiles"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class TaskFiles:
    """Read and write the tasks of one workload; safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for a change; the lock ends with the process that holds it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def read(self, item_id: str) -> dict[str, Any] | None:
        """Return a task, or None where there is none."""
        path = self._path(item_id)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return _parse(path, text)

    def all(self) -> list[dict[str, Any]]:
        """Return every task, in the order of their names."""
        paths = sorted(self._folder.glob("*.json"))
        return [_parse(path, path.read_text(encoding="utf-8")) for path in paths]

    def write(self, item_id: str, task: dict[str, Any]) -> None:
        """Replace a task's file as a whole; the caller holds the lock."""
        path = self._path(item_id)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as handle:
            json.dump(task, handle, ensure_ascii=False, indent=1)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)

    def _path(self, item_id: str) -> Path:
        # Ids come back from files that other tools wrote: nothing but a plain name gets this far.
        if not _NAME.fullmatch(item_id):
            raise DataError(
                f"{item_id[:80]!r} cannot be the id of a review item.",
                next_step="export the project that Flywheel's tasks were imported into",
            )
        return self._folder / f"{item_id}.json"


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        task: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise IntegrityError(
            f"The task file {path} is not JSON: {error}",
            next_step="restore it from a backup, or delete it and push the batch again",
        ) from error
    return task
