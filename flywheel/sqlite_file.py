"""One thing that every SQLite file here needs: a write-ahead log, also when two processes begin."""

import sqlite3
import time

__all__ = ["use_write_ahead_log"]

_PAUSE_SECONDS = 0.02


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
