"""The switch to a write-ahead log waits for a process that holds the new file for a moment."""

import sqlite3
import threading
from contextlib import closing

import pytest

from flywheel.io.sqlite_file import use_write_ahead_log


def mode(path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


@pytest.fixture
def held(tmp_path):
    """Return a file that another connection holds for itself, and what gives it back."""
    path = tmp_path / "new.db"
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("CREATE TABLE t (x)")
    holder.execute("BEGIN EXCLUSIVE")
    yield path, lambda: holder.execute("COMMIT")
    holder.close()


def test_switch_waits_for_the_holder(held):
    """SQLite alone would say "locked" at once, whatever its timeout."""
    path, give_back = held
    timer = threading.Timer(0.3, give_back)
    with closing(sqlite3.connect(path, timeout=0)) as connection:
        timer.start()
        use_write_ahead_log(connection, seconds=30)
        timer.join()
    assert mode(path) == "wal"


def test_switch_gives_up_in_the_end(held):
    """A file that is never given back is an error, not a file in another mode."""
    path, give_back = held
    with (
        closing(sqlite3.connect(path, timeout=0)) as connection,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        use_write_ahead_log(connection, seconds=0.1)
    give_back()
    assert mode(path) == "delete"
