"""`FileDigests`: what every data file of the lake contained when it was written.

Delta's log names files and does not say what is in them, so a flipped bit is another value and
it goes unnoticed. Beside the tables lies one small SQLite file: path, size and sha256 of each data
file, written right after the commit that added it. `Lake` records, `check` compares.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from flywheel.errors import StorageError
from flywheel.io.sqlite_file import open_for_reading, use_write_ahead_log
from flywheel.lake.location import LakePath

__all__ = [
    "DIGESTS_FILE",
    "NO_DIGEST",
    "CommitDigests",
    "Digests",
    "FileDigest",
    "FileDigests",
    "TableDigests",
    "commit_digests",
    "commit_files",
    "digest_of",
    "relative_path",
]

DIGESTS_FILE = "digests.db"
NO_DIGEST = "has lost its digest"
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


@dataclass(frozen=True)
class FileDigest:
    """What a data file contained; ``later`` says that it was read some time after its commit."""

    size: int
    sha256: str
    later: bool = False

    def difference(self, path: LakePath) -> str | None:
        """Return how a file differs from what was written, None where it does not."""
        try:
            now = digest_of(path)
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if now.size != self.size:
            return f"has {now.size:,} bytes, {self.size:,} were written"
        return None if now.sha256 == self.sha256 else "has other content than was written"


@dataclass(frozen=True)
class CommitDigests:
    """What one commit added and removed; ``damaged`` says how removed files had changed."""

    added: Mapping[str, FileDigest]
    removed: Sequence[str]
    damaged: Mapping[str, str]


@dataclass(frozen=True)
class TableDigests:
    """Everything that is recorded of a table.

    Attributes:
        delta_id: Delta's id of it.
        version: newest version that was recorded.
        files: digests by path.
        damage: by path of a replaced file, the version written from it and what was damaged.
    """

    delta_id: str
    version: int
    files: dict[str, FileDigest]
    damage: dict[str, tuple[int, str]]

    def damage_sentences(self) -> list[str]:
        """Return what was damaged in files whose values were passed on to others."""
        return [
            f"{path} {finding}; version {version} was written from it"
            for path, (version, finding) in sorted(self.damage.items())
        ]


class Digests(Protocol):
    """Digests of a lake's data files, wherever they are kept."""

    def close(self) -> None:
        """Let go of what is open."""

    def begin(self, table: str, delta_id: str, version: int) -> None:
        """Record a table that has no data file yet."""

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
        """Record what one commit added, and check what it replaced."""

    def adopt(self, table: str, delta_id: str, version: int, files: Mapping[str, LakePath]) -> int:
        """Record files that have no digest yet, as they are now; return how many."""

    def accept(self, table: str) -> None:
        """Forget that files had lost their digests when they were replaced."""

    def of(self, table: str) -> dict[str, FileDigest]:
        """Return the digests of a table's files, by their path below its folder."""

    def table(self, table: str) -> tuple[str, int] | None:
        """Return Delta's id and the newest recorded version of a table."""

    def damage(self, table: str) -> list[str]:
        """Return what was damaged in files whose values were passed on to others."""

    def read(self, table: str) -> TableDigests | None:
        """Return everything that is recorded of a table."""

    def write(self, table: str, state: TableDigests) -> None:
        """Record the state of a table that has none yet."""


def digest_of(path: LakePath) -> FileDigest:
    """Read a file and return its size and sha256."""
    with path.open("rb") as file:
        return FileDigest(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def commit_files(folder: LakePath, version: int) -> tuple[list[str], list[str]] | None:
    """Return the data files that a commit added and removed; None where its log entry is gone."""
    entry = folder / "_delta_log" / f"{version:020d}.json"
    try:
        lines = entry.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    actions = [json.loads(line) for line in lines]
    added = [unquote(action["add"]["path"]) for action in actions if "add" in action]
    removed = [unquote(action["remove"]["path"]) for action in actions if "remove" in action]
    return added, removed


def commit_digests(
    folder: LakePath,
    version: int,
    recorded: Callable[[], TableDigests | None],
    *,
    complete: bool,
    later: bool,
) -> CommitDigests | None:
    """Read what one commit added and removed, while both are there; None without its log entry.

    Args:
        folder: of the table.
        version: number of the commit.
        recorded: returns what is recorded of the table; asked only where something was removed.
        complete: every file of the table has a digest.
        later: the commit is an earlier one, whose process ended before it recorded.

    Raises:
        OSError: a file cannot be read.
    """
    changes = commit_files(folder, version)
    if changes is None:
        return None
    added, removed = changes
    digests = {path: replace(digest_of(folder / path), later=later) for path in added}
    state = recorded() if removed else None
    before = {} if state is None else state.files
    # Another process that recorded this commit has dropped what it removed.
    complete = complete and (state is None or state.version < version)
    damaged = {
        path: finding
        for path in removed
        if (finding := _replaced(before.get(path), folder / path, complete=complete)) is not None
    }
    return CommitDigests(digests, removed, damaged)


def _replaced(digest: FileDigest | None, path: LakePath, *, complete: bool) -> str | None:
    if digest is None:
        return NO_DIGEST if complete else None
    return digest.difference(path)


def relative_path(folder: LakePath, uri: str) -> str:
    """Return the path of a table's data file below the table's folder."""
    if isinstance(folder, Path):
        return Path(uri.removeprefix("file://")).relative_to(folder).as_posix()
    return uri.removeprefix(f"{folder}/")


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
        recorded = self.of(table)
        digests = {
            name: FileDigest(now.size, now.sha256, later=True)
            for name, path in files.items()
            if name not in recorded
            for now in [digest_of(path)]
        }
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

    def damage(self, table: str) -> list[str]:
        """Return what was damaged in files whose values were passed on to others."""
        return TableDigests("", 0, {}, self._damage(table)).damage_sentences()

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
