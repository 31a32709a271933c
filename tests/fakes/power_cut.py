"""A disk that loses power: what was not synced is gone or empty, as on ext4 or XFS.

A file that was renamed before its content was synced is empty after the cut, and a rename whose
folder was not synced may be undone.
"""

import os
from pathlib import Path

import pytest

__all__ = ["PowerCut", "PowerFailure"]


class PowerFailure(BaseException):
    """The moment of the cut; nothing in the program catches it."""


class PowerCut:
    """Watch syncs and renames of this process, and take away what a cut would take.

    Args:
        patch: puts the watched functions in place of the real ones.
        before: the cut comes before this call of fsync, replace or rename, counted from 0; None: it
            comes when ``settle`` is called.
    """

    def __init__(self, patch: pytest.MonkeyPatch, before: int | None = None) -> None:
        self.steps: list[str] = []
        self._before = before
        self._synced: set[tuple[int, int]] = set()
        self._renamed: list[tuple[Path, Path, bytes | None]] = []
        real = {"fsync": os.fsync, "replace": os.replace, "rename": os.rename}

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self._step("fsync folder" if path.is_dir() else "fsync")
            real["fsync"](descriptor)
            self._note(os.fstat(descriptor), path)

        def renamed(source: str | Path, target: str | Path) -> None:
            self._step("replace")
            source, target = Path(os.path.realpath(source)), Path(os.path.realpath(target))
            former = target.read_bytes() if target.is_file() else None
            real["replace"](source, target)
            self._renamed.append((source, target, former))

        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "replace", renamed)
        patch.setattr(os, "rename", renamed)

    def _step(self, name: str) -> None:
        if self._before is not None and len(self.steps) >= self._before:
            raise PowerFailure
        self.steps.append(name)

    def _note(self, status: os.stat_result, path: Path) -> None:
        self._synced.add((status.st_dev, status.st_ino))
        if path.is_dir():
            self._renamed = [one for one in self._renamed if one[1].parent != path] + [
                (one[1], one[1], None) for one in self._renamed if one[1].parent == path
            ]

    def settle(self, *, undo: bool) -> None:
        """Leave the disk as the cut leaves it; ``undo``: renames that were not synced are undone."""
        for source, target, former in reversed(self._renamed):
            if source != target and undo:
                target.unlink()
                if former is not None:
                    target.write_bytes(former)
                continue
            for file in target.rglob("*") if target.is_dir() else [target]:
                status = file.stat()
                if file.is_file() and (status.st_dev, status.st_ino) not in self._synced:
                    file.write_bytes(b"")
