"""Tables of the embedded log, and how a connection to it is opened."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flywheel.errors import NotFoundError, StorageError, UnavailableError
from flywheel.io.sqlite_file import can_write, read_only_uri, use_write_ahead_log

__all__ = ["connect", "reading", "write_anew", "writing"]

_BUSY_SECONDS = 30.0

# topic_key is the small local number of a topic's own id, which records would else repeat.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS topics (
    topic_key INTEGER PRIMARY KEY AUTOINCREMENT,
    topic_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    partitions INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS partitions (
    topic_key INTEGER NOT NULL REFERENCES topics ON DELETE CASCADE,
    number INTEGER NOT NULL,
    first_offset INTEGER NOT NULL DEFAULT 0,
    end_offset INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_key, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    topic_key INTEGER NOT NULL REFERENCES topics ON DELETE CASCADE,
    number INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    appended_at INTEGER NOT NULL,
    key BLOB,
    value BLOB NOT NULL,
    PRIMARY KEY (topic_key, number, "offset")
);
CREATE TABLE IF NOT EXISTS members (
    topic_key INTEGER NOT NULL REFERENCES topics ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    member_id TEXT NOT NULL,
    alive_until REAL NOT NULL,
    PRIMARY KEY (topic_key, group_name, member_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (
    topic_key INTEGER NOT NULL REFERENCES topics ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic_key, group_name, number)
) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the log's file, made with its tables where it is missing; one that may not be written is read."""
    try:
        if not can_write(path):
            return _connect_to_read(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        use_write_ahead_log(connection, seconds=_BUSY_SECONDS)
        connection.execute("PRAGMA synchronous = FULL")  # an acknowledged record survives a crash
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError as error:
        raise _translated(error, path) from error
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise NotFoundError(
            f"There is no event log {path}, and it may not be made.",
            next_step="check the folder and its permissions",
        )
    return sqlite3.connect(
        read_only_uri(path),
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


@contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Hold one write transaction: all of it, or nothing."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise _translated(error, path) from error


@contextmanager
def reading(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Hold one read transaction, so that several queries see the same moment."""
    try:
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
    except sqlite3.DatabaseError as error:
        raise _translated(error, path) from error


def write_anew(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrite the file, so that no free page and no write-ahead log holds what was removed.

    Raises:
        UnavailableError: another process reads at this moment; run it again.
    """
    try:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise _translated(error, path) from error
    if busy:
        raise UnavailableError(
            f"The event log {path} is being read, and cannot be rewritten now.",
            next_step="try again in a moment",
        )


def _translated(error: sqlite3.DatabaseError, path: Path) -> UnavailableError | StorageError:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return UnavailableError(
            f"The event log {path} is busy: {error}", next_step="try again in a moment"
        )
    return StorageError(
        f"The event log {path} cannot be used: {error}",
        next_step="check the disk and the file's permissions",
    )
