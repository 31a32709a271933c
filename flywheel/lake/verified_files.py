"""`VerifiedFiles`: data files whose content a check found as it was written, and how they lay on disk.

A file that was not touched since is not read again: its size, its times and its place on the disk are
those of then. Who can write the disk itself, or bits that change by themselves, leave these as they
are; a full check reads every file.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from flywheel.lake.derived_file import DerivedFile
from flywheel.lake.digests import FileDigest
from flywheel.lake.location import LakePath

__all__ = ["VERIFIED_FILES_FILE", "VerifiedFiles"]

VERIFIED_FILES_FILE = "verified_files.json"

# sha256; size, time of the content, time of the entry, number of the file.
_Entry = tuple[str, int, int, int, int]


class VerifiedFiles:
    """What earlier checks found as it was written, by table and path.

    Args:
        root: folder of this machine for what is derived.
    """

    def __init__(self, root: Path) -> None:
        self._file = DerivedFile(root / VERIFIED_FILES_FILE)
        # Without it, every file is read.
        self._tables = self._file.read(_parse) or {}

    def untouched(
        self, table: str, files: Mapping[str, LakePath], digests: Mapping[str, FileDigest]
    ) -> set[str]:
        """Name the files that were found as they were written and not touched since.

        Args:
            table: name of the lake table.
            files: by their path below the table's folder.
            digests: of what was written.
        """
        before = self._tables.get(table, {})
        return {
            path
            for path in before.keys() & files.keys() & digests.keys()
            if before[path] == _entry(files[path], digests[path])
        }

    def entries(
        self, files: Mapping[str, LakePath], digests: Mapping[str, FileDigest]
    ) -> dict[str, "_Entry | None"]:
        """Return how files lie on the disk; before they are read, since a writer may come between."""
        return {
            path: _entry(file, digests[path]) for path, file in files.items() if path in digests
        }

    def keep(
        self, table: str, entries: Mapping[str, "_Entry | None"], sound: Iterable[str]
    ) -> None:
        """Keep which files of a table are as they were written; others are forgotten."""
        found = {path: entry for path in sorted(sound) if (entry := entries.get(path)) is not None}
        if found != self._tables.get(table, {}):
            self._tables[table] = found
            self._file.write(lambda file: file.write(json.dumps(self._tables).encode()))


def _parse(content: bytes) -> dict[str, dict[str, _Entry]]:
    return {
        table: {path: tuple(entry) for path, entry in files.items()}
        for table, files in json.loads(content).items()
    }


def _entry(file: LakePath, digest: FileDigest) -> _Entry | None:
    if not isinstance(file, Path):
        return None  # an object store does not say whether an object was written again
    try:
        stat = file.stat()
    except OSError:
        return None
    return digest.sha256, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino
