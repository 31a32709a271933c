"""A folder of task files: one JSON file per task, written atomically, one writer at a time.

A file that is damaged is set aside and left as it lies; the others are read.
"""

import json
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.errors import DataError, IntegrityError
from flywheel.io.atomic import write_json
from flywheel.io.lock import exclusive
from flywheel.io.records import JsonObject
from flywheel.ports.review_queue import SetAside

__all__ = ["TaskFiles", "is_item_id"]

_Version = tuple[int, int, int]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_item_id(text: str) -> bool:
    """Return whether a text can be the id of a review item, and so the name of a file."""
    return _NAME.fullmatch(text) is not None


class TaskFiles:
    """Read and write the tasks of one workload; safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: dict[str, tuple[_Version, dict[str, Any] | IntegrityError]] = {}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for a change; the lock ends with the process that holds it."""
        with exclusive(self._folder / ".lock"):
            yield

    def read(self, item_id: str) -> JsonObject | None:
        """Return a task, or None where there is none.

        Raises:
            IntegrityError: its file is damaged.
        """
        path = self._path(item_id)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        return _parse(path, text)

    def has(self, item_id: str) -> bool:
        """Return whether there is a task, without reading it; an empty file holds none."""
        path = self._path(item_id)
        return path.exists() and path.stat().st_size > 0

    def all(self) -> list[JsonObject]:
        """Return every task that can be read, by name; they are not to be changed."""
        return [task for _, task in self._entries() if not isinstance(task, IntegrityError)]

    def damaged(self) -> list[SetAside]:
        """Return the files that cannot be read, by name."""
        return [
            SetAside(name, None, str(task), name)
            for name, task in self._entries()
            if isinstance(task, IntegrityError)
        ]

    def _entries(self) -> list[tuple[str, JsonObject | IntegrityError]]:
        if not self._folder.exists():
            return []
        listed = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    listed[entry.name] = self._cached(entry)
        return [(name.removesuffix(".json"), listed[name]) for name in sorted(listed)]

    def _cached(self, entry: os.DirEntry[str]) -> JsonObject | IntegrityError:
        # Every write makes a new file, so that a changed task never looks like the old one.
        status = entry.stat()
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        cached = self._cache.get(entry.name)
        if cached is None or cached[0] != version:
            path = Path(entry.path)
            try:
                cached = version, _parse(path, path.read_bytes())
            except IntegrityError as error:
                cached = version, error
            self._cache[entry.name] = cached
        return cached[1]

    def write(self, item_id: str, task: JsonObject, *, durable: bool = True) -> None:
        """Replace a task's file as a whole; the caller holds the lock.

        A file that is not ``durable`` may be empty after a power failure. It is set aside, and the
        next pull writes it again: that is for tasks which the lake holds as well.
        """
        write_json(self._path(item_id), task, durable=durable, ensure_ascii=False, indent=1)

    def remove_all(self, words: Collection[bytes]) -> int:
        """Remove every file that holds one of the words, damaged ones too; return how many.

        The caller holds the lock.
        """
        paths = [*self._folder.glob("*.json"), *self._folder.glob("*.part")]
        matches = [path for path in paths if any(word in path.read_bytes() for word in words)]
        for path in matches:
            path.unlink()
        return len(matches)

    def _path(self, item_id: str) -> Path:
        # Ids come back from files that other tools wrote: nothing but a plain name gets this far.
        if not is_item_id(item_id):
            raise DataError(
                f"{item_id[:80]!r} cannot be the id of a review item.",
                next_step="export the project that Flywheel's tasks were imported into",
            )
        return self._folder / f"{item_id}.json"


def _parse(path: Path, text: bytes) -> JsonObject:
    if not text:
        raise IntegrityError(
            f"The task file {path} is empty.",
            next_step="restore it from a backup, or run `flywheel review pull`, which writes an "
            "item that no one has answered again",
        )
    try:
        task: Any = json.loads(text.decode())
        problem = _problem(path, task)
    except (ValueError, RecursionError) as error:
        problem = f"is not JSON: {error}"
    if problem is not None:
        raise IntegrityError(
            f"The task file {path} {problem}.",
            next_step="restore it from a backup, or delete it and run `flywheel review pull`, "
            "which puts the item into the queue again",
        )
    return dict(task)


def _problem(path: Path, task: Any) -> str | None:
    if not isinstance(task, dict):
        return "holds no object"
    for key, kind in (("data", dict), ("meta", dict), ("annotations", list)):
        if not isinstance(task.get(key), kind):
            return f"has no {key}"
    if not all(isinstance(raw, dict) for raw in task["annotations"]):
        return "holds an annotation that is not an object"
    if task["data"].get("item_id") != path.stem or "inference_id" not in task["data"]:
        return "is the file of another item"
    judgments, changed = task["meta"].get("judgments"), task["meta"].get("changed_at")
    if not isinstance(judgments, int) or not isinstance(changed, str):
        return "does not say how many judgments it asks for, or when it changed"
    return None
