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
        self._cache: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}

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
        return _parse(path, text) if text else None

    def has(self, item_id: str) -> bool:
        """Say whether there is a task, without reading it."""
        path = self._path(item_id)
        return path.exists() and path.stat().st_size > 0

    def all(self) -> list[dict[str, Any]]:
        """Return every task, in the order of their names; they are not to be changed."""
        if not self._folder.exists():
            return []
        tasks = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and entry.stat().st_size:
                    tasks[entry.name] = self._cached(entry)
        return [tasks[name] for name in sorted(tasks)]

    def _cached(self, entry: os.DirEntry[str]) -> dict[str, Any]:
        # Every write makes a new file, so that a changed task never looks like the old one.
        status = entry.stat()
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        held = self._cache.get(entry.name)
        if held is None or held[0] != version:
            path = Path(entry.path)
            held = version, _parse(path, path.read_text(encoding="utf-8"))
            self._cache[entry.name] = held
        return held[1]

    def write(self, item_id: str, task: dict[str, Any], *, durable: bool = True) -> None:
        """Replace a task's file as a whole; the caller holds the lock.

        A file that is not ``durable`` may be empty after a power failure, and then counts as not
        there: that is for tasks which the lake holds as well and pushes again.
        """
        path = self._path(item_id)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as handle:
            json.dump(task, handle, ensure_ascii=False, indent=1)
            if durable:
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
