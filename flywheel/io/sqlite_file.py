"""Opening SQLite files: `use_write_ahead_log` for writers, `open_for_reading` for those who only look.

Every SQLite file here has a write-ahead log, so that readers wait for no writer.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

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
    a second process that opens the new file at that moment is told "locked" at once. It is asked
    again here, for ``seconds`` at most.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def can_write(path: Path) -> bool:
    """Say whether this process may write a file, or make it where it is missing."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    writable = os.access(folder, os.W_OK)
    return writable and (not path.exists() or os.access(path, os.W_OK))


def read_only_uri(path: Path) -> str:
    """Return the URI under which a file is read and nothing is written, not even beside it.

    Where the folder may not be written, SQLite could not make the files of its write-ahead log:
    without a log it reads the file as one that nobody changes.
    """
    log = path.with_name(f"{path.name}-wal")
    is_settled = not log.exists() or log.stat().st_size == 0
    fixed = "&immutable=1" if is_settled and not can_write(path) else ""
    return f"{path.absolute().as_uri()}?mode=ro{fixed}"


@contextmanager
def open_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an existing file read-only, in a folder that may be read-only too."""
    with closing(
        sqlite3.connect(read_only_uri(path), uri=True, timeout=_BUSY_SECONDS)
    ) as connection:
        yield connection


def copy_database(source: Path, target: Path) -> bool:
    """Copy a database as it is at one moment, while others write; False where there is none."""
    if not source.is_file():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_for_reading(source) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
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
