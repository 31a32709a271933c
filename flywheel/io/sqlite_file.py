"""Opening SQLite files: `use_write_ahead_log` for writers, `open_for_reading` for those who only look.

Every SQLite file here has a write-ahead log, so that readers wait for no writer.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from flywheel.errors import StorageError
from flywheel.io.retry import RetryPolicy, retried

__all__ = [
    "can_write",
    "copy_database",
    "integrity_problem",
    "open_for_reading",
    "read_only_uri",
    "use_write_ahead_log",
]

_PAUSE_SECONDS = 0.02
_BUSY_SECONDS = 30.0


def use_write_ahead_log(connection: sqlite3.Connection, *, seconds: float) -> None:
    """Switch a file to its write-ahead log, so that readers wait for no writer.

    The switch needs the file for a moment alone, and SQLite does not call its busy handler for it:
    a second process that opens the new file at that moment gets "locked" at once. It is asked
    again here, for ``seconds`` at most.
    """
    retried(
        lambda: connection.execute("PRAGMA journal_mode = WAL").close(),
        RetryPolicy(seconds=seconds, pause=_PAUSE_SECONDS, longest_pause=_PAUSE_SECONDS),
        lambda error: isinstance(error, sqlite3.OperationalError) and "locked" in str(error),
    )


def can_write(path: Path) -> bool:
    """Return whether this process may write a file, or make it where it is missing."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    writable = os.access(folder, os.W_OK)
    return writable and (not path.exists() or os.access(path, os.W_OK))


def read_only_uri(path: Path) -> str:
    """Return the URI under which a file is read and nothing is written, not even beside it.

    Where the folder may not be written, SQLite could not make the files of its write-ahead log:
    without a log it reads the file as one that no process changes.

    Raises:
        StorageError: the folder may not be written, and the log, which holds the newest rows, lacks
            its index.
    """
    log = path.with_name(f"{path.name}-wal")
    is_settled = not log.exists() or log.stat().st_size == 0
    is_fixed = path.exists() and not can_write(path)
    if is_fixed and not is_settled and not path.with_name(f"{path.name}-shm").exists():
        raise StorageError(
            f"{path} cannot be read where it is: its newest rows are in {log.name}, and the folder "
            "is read-only.",
            next_step="copy the home to a place that may be written, and look at the copy",
        )
    fixed = "&immutable=1" if is_fixed and is_settled else ""
    return f"{path.absolute().as_uri()}?mode=ro{fixed}"


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing file read-only, in a folder that may be read-only too."""
    with closing(
        sqlite3.connect(read_only_uri(path), uri=True, timeout=_BUSY_SECONDS)
    ) as connection:
        yield connection


def copy_database(source: Path, target: Path) -> bool:
    """Copy a database as it is at one moment, while others write; False where there is none.

    Raises:
        StorageError: the copy could not be written, by a full disk say, or the source not read.
    """
    if not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open_for_reading(source) as old, closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        raise StorageError(
            f"{source} could not be copied to {target}: {error}",
            next_step="remove the incomplete copy, free space or mend the permissions, and try again",
        ) from error
    return True


def integrity_problem(path: Path) -> str | None:
    """Return what SQLite finds damaged in a file, None where it is sound."""
    try:
        with open_for_reading(path) as connection:
            rows = connection.execute("PRAGMA integrity_check(5)").fetchall()
    except sqlite3.Error as error:
        return str(error)
    lines = [str(row[0]) for row in rows]
    return None if lines == ["ok"] else "; ".join(" ".join(line.split()) for line in lines)
