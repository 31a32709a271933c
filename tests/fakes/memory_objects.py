"""An object store in memory for what reads and writes through `ObjectPath`; it can go away."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem
from pyarrow.fs import FileInfo, FileSelector, FSSpecHandler, PyFileSystem

from flywheel.lake.artifact_store import ArtifactStore
from flywheel.lake.location import LakeLocation
from flywheel.lake.object_path import ObjectPath

__all__ = ["MemoryObjects"]


class _Objects(MemoryFileSystem):
    # Of its own: fsspec's is one for the whole process.
    cachable = False  # codespell:ignore cachable

    def __init__(self) -> None:
        super().__init__()
        self.store: dict[str, Any] = {}
        self.pseudo_dirs = [""]
        self.writes_until_away: int | None = None
        self.written: list[str] = []
        self.broken_reads = 0

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "wb":
            if self.writes_until_away == 0:
                raise OSError("NETWORK_CONNECTION: the endpoint does not answer")
            self.written.append(path)
            if self.writes_until_away is not None:
                self.writes_until_away -= 1
        if mode == "rb" and self.broken_reads:
            self.broken_reads -= 1
            raise OSError("AWS Error INTERNAL_FAILURE: Failed to flush response stream")
        return super()._open(path, mode=mode, **options)


class _Handler(FSSpecHandler):
    # fsspec's begin at a root, an object store's names do not.
    def get_file_info_selector(self, selector: FileSelector) -> list[FileInfo]:
        found = super().get_file_info_selector(selector)
        return [FileInfo(one.path.removeprefix("/"), type=one.type, size=one.size) for one in found]


class MemoryObjects:
    """A bucket, and the artifacts of a lake in it."""

    def __init__(self, folder: Path) -> None:
        self._objects = _Objects()
        handler = PyFileSystem(_Handler(self._objects))
        self.location = LakeLocation(ObjectPath("s3://bucket/lake", handler), folder)
        self.artifacts = ArtifactStore(self.location)

    @property
    def keys(self) -> list[str]:
        """Every object, by its name below the artifacts."""
        prefix = "/bucket/lake/_artifacts/"
        return sorted(key.removeprefix(prefix) for key in self._objects.store)

    @property
    def writes(self) -> int:
        """How many objects were written so far."""
        return len(self._objects.written)

    def read(self, key: str) -> bytes:
        """Return an object's content."""
        return bytes(self._objects.cat_file(f"/bucket/lake/_artifacts/{key}"))

    def write(self, key: str, content: bytes) -> None:
        """Put another content under a name."""
        self._objects.pipe_file(f"/bucket/lake/_artifacts/{key}", content)

    def remove(self, key: str) -> None:
        """Lose an object."""
        self._objects.rm_file(f"/bucket/lake/_artifacts/{key}")

    def holds(self, text: bytes) -> bool:
        """Return whether any object holds a text."""
        return any(text in self.read(key) for key in self.keys)

    def break_reads(self, count: int) -> None:
        """Let so many reads find a connection that the store has closed."""
        self._objects.broken_reads = count

    @contextmanager
    def away_after(self, writes: int) -> Iterator[None]:
        """Let the store not answer any more once so many objects were written."""
        self._objects.writes_until_away = writes
        try:
            yield
        finally:
            self._objects.writes_until_away = None
