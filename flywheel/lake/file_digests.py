"""`FileDigests`: the digests of a lake on a disk, in one small SQLite file beside the tables."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.errors import StorageError
from flywheel.io.sqlite_file import open_for_reading, use_write_ahead_log
from flywheel.lake.digests import (
    NO_DIGEST,
    FileDigest,
    TableDigests,
    adopted_digests,
    commit_digests,
)
from flywheel.lake.location import LakePath

__all__ = ["DIGESTS_FILE", "FileDigests"]

DIGESTS_FILE = "digests.db"
_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    lake_table TEXT NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    version INTEGER NOT NULL,
    later INTEGER NOT NULL,
    PRIMARY KEY (lake_table, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tables (
    lake_table TEXT PRIMARY KEY,
    delta_id TEXT NOT NULL,
    version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damage (
    lake_table TEXT NOT NULL,
    path TEXT NOT NULL,
    version INTEGER NOT NULL,
    finding TEXT NOT NULL,
    PRIMARY KEY (lake_table, path)
) WITHOUT ROWID;
"""


class FileDigests:
    """Record and return the digests of data files; safe for several processes, not for threads."""

    def __init__(self, root: Path) -> None:
        self.path = root / DIGESTS_FILE
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def begin(self, table: str, delta_id: str, version: int) -> None:
        """Record a table that has no data file yet: it has lost nothing."""
        with self._writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO tables VALUES (?, ?, ?)", (table, delta_id, version)
            )

    def record(
        self,
        table: str,
        delta_id: str,
        folder: LakePath,
        version: int,
        *,
        complete: bool = False,
        later: bool = False,
    ) -> None:
        """Record what one commit added, and check what it replaced, while both are on disk.

        A replaced file that was damaged has passed its values on: that is kept as damage. Without
        the commit's log entry (its retention is over) nothing is recorded.

        Args:
            table: name of the lake table.
            delta_id: Delta's id of the table.
            folder: where the table lies.
            version: number of the commit.
            complete: every file of the table has a digest, so that a replaced one without a digest
                has lost it.
            later: the commit is an earlier one, whose process ended before it recorded.

        Raises:
            OSError: a file cannot be read.
            StorageError: the digests cannot be written.
        """
        commit = commit_digests(
            folder, version, lambda: self.read(table), complete=complete, later=later
        )
        if commit is None:
            return
        with self._writing() as connection:
            self._add(connection, table, version, commit.added)
            connection.executemany(
                "DELETE FROM files WHERE lake_table = ? AND path = ?",
                [(table, path) for path in commit.removed],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO damage VALUES (?, ?, ?, ?)",
                [(table, path, version, finding) for path, finding in commit.damaged.items()],
            )
            connection.execute(
                "INSERT INTO tables VALUES (?, ?, ?) ON CONFLICT (lake_table) DO UPDATE SET "
                "version = CASE WHEN delta_id = excluded.delta_id "
                "THEN max(version, excluded.version) ELSE version END",
                (table, delta_id, version),
            )

    def adopt(self, table: str, delta_id: str, version: int, files: Mapping[str, LakePath]) -> int:
        """Record files that have no digest yet, as they are now; return how many."""
        digests = adopted_digests(files, self.of(table))
        with self._writing() as connection:
            self._add(connection, table, version, digests)
            connection.execute(
                "INSERT OR IGNORE INTO tables VALUES (?, ?, ?)", (table, delta_id, version)
            )
        return len(digests)

    def accept(self, table: str) -> None:
        """Forget that files had lost their digests when they were replaced."""
        with self._writing() as connection:
            connection.execute(
                "DELETE FROM damage WHERE lake_table = ? AND finding = ?", (table, NO_DIGEST)
            )

    def of(self, table: str) -> dict[str, FileDigest]:
        """Return the digests of a table's files, by their path below its folder."""
        rows = self._rows(
            "SELECT path, size, sha256, later FROM files WHERE lake_table = ?", (table,)
        )
        return {path: FileDigest(size, sha256, bool(later)) for path, size, sha256, later in rows}

    def table(self, table: str) -> tuple[str, int] | None:
        """Return Delta's id and the newest recorded version of a table."""
        rows = self._rows("SELECT delta_id, version FROM tables WHERE lake_table = ?", (table,))
        return (str(rows[0][0]), int(rows[0][1])) if rows else None

    def _damage(self, table: str) -> dict[str, tuple[int, str]]:
        sql = "SELECT path, version, finding FROM damage WHERE lake_table = ?"
        return {path: (version, finding) for path, version, finding in self._rows(sql, (table,))}

    def read(self, table: str) -> TableDigests | None:
        """Return everything that is recorded of a table, None where nothing is."""
        recorded = self.table(table)
        if recorded is None:
            return None
        return TableDigests(*recorded, self.of(table), self._damage(table))

    def write(self, table: str, state: TableDigests) -> None:
        """Record the state of a table that has none yet."""
        with self._writing() as connection:
            self._add(connection, table, state.version, state.files)
            connection.executemany(
                "INSERT INTO damage VALUES (?, ?, ?, ?)",
                [(table, path, *damage) for path, damage in state.damage.items()],
            )
            connection.execute(
                "INSERT INTO tables VALUES (?, ?, ?)", (table, state.delta_id, state.version)
            )

    def _add(
        self,
        connection: sqlite3.Connection,
        table: str,
        version: int,
        digests: Mapping[str, FileDigest],
    ) -> None:
        connection.executemany(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (lake_table, path) "
            # Two processes read the same file: the one that wrote it knows more.
            "DO UPDATE SET later = min(later, excluded.later)",
            [
                (table, path, digest.size, digest.sha256, version, digest.later)
                for path, digest in digests.items()
            ],
        )

    def _rows(self, sql: str, parameters: Iterable[str]) -> list[Any]:
        if self._connection is None and not self.path.is_file():
            return []  # a lake of an earlier version, or an empty one
        with _translated(self.path):
            if self._connection is not None:
                return self._connection.execute(sql, tuple(parameters)).fetchall()
            with open_for_reading(self.path) as connection:
                return connection.execute(sql, tuple(parameters)).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with _translated(self.path):
            if self._connection is None:
                self._connection = _open(self.path)
            with self._connection:
                yield self._connection


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    use_write_ahead_log(connection, seconds=_BUSY_SECONDS)
    # Not synced at each commit: after a power failure the last files count as not verified.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    return connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(
            f"The lake's digests in {path} cannot be used: {error}",
            next_step="restore the file from a backup; without it the lake's files count as "
            "not verified",
        ) from error
