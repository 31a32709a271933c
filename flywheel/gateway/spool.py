"""`Spool`: events on local disk from the moment of an answer until the event log has them.

One thread writes, many records to a transaction (group commit): a caller waits for one fsync that
it shares with everyone who came meanwhile. SQLite recovers the file after a crash; a record is in
it as a whole or not at all.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from flywheel.errors import StorageError, UnavailableError
from flywheel.io.sqlite_file import open_for_reading, use_write_ahead_log

__all__ = ["Record", "Spool", "SpooledRecord"]

_BATCH = 512
_OPEN_SECONDS = 10.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, key BLOB NOT NULL,
    value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS refused (
    number INTEGER PRIMARY KEY, topic TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
    reason TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Record:
    """One event for the log: its topic, its key and its bytes."""

    topic: str
    key: bytes
    value: bytes


@dataclass(frozen=True)
class SpooledRecord(Record):
    """A record with its place in the spool."""

    number: int


@dataclass(frozen=True)
class _Write:
    # Runs inside the transaction; the future is resolved after its commit.
    action: Callable[[sqlite3.Connection], None]
    done: "Future[None]"


class Spool:
    """Keep records durably until they are in the event log; safe to use from many threads.

    Args:
        file: the SQLite file; one process has it open at a time.
        capacity_bytes: how much may wait; `keep` refuses more.

    Raises:
        ConfigurationError: another process has the file.
        StorageError: the file is damaged, or the disk is full.
    """

    def __init__(self, file: Path, *, capacity_bytes: int) -> None:
        self._file = file
        self._capacity = capacity_bytes
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._failure: str | None = None
        self._held: set[bytes] = set()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _open(file)
        waiting = "SELECT count(*), coalesce(sum(length(value)), 0) FROM records"
        depth, size = self._connection.execute(waiting).fetchone()
        self._depth, self._bytes = int(depth), int(size)
        self._refused = int(self._connection.execute("SELECT count(*) FROM refused").fetchone()[0])
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Number of records that wait for the event log."""
        return self._depth

    @property
    def bytes(self) -> int:
        """Bytes of events that wait for the event log."""
        return self._bytes

    @property
    def refused(self) -> int:
        """Number of records that the event log will never take; they are kept in the file."""
        return self._refused

    @property
    def failure(self) -> str | None:
        """Why the newest write failed; None while writes succeed."""
        return self._failure

    def keep(self, records: Sequence[Record]) -> "Future[None]":
        """Return a future that is done once the records are durable.

        It fails with UnavailableError where the spool is full, and with StorageError where the
        disk refuses the write; the records are then not kept.
        """
        size = sum(len(record.value) for record in records)
        done: Future[None] = Future()
        with self._lock:
            if self._bytes + size > self._capacity:
                done.set_exception(self._full())
                return done
            self._depth += len(records)
            self._bytes += size
        done.add_done_callback(lambda future: self._settle(future, len(records), size))
        rows = [(record.topic, record.key, record.value) for record in records]
        self._writes.put(_Write(lambda connection: _insert(connection, rows), done))
        return done

    def hold(self, record: Record) -> None:
        """Hold a record back from `oldest` until it is settled; called before `keep`.

        Durable like all others: after a crash they are sent as they were kept.
        """
        self._held.add(record.key)

    def settle(self, held: Record, replacement: Record | None) -> "Future[None]":
        """Let go of a held record, and put another one in its place where one is given.

        Returns:
            A future that is done once the replacement is durable; it fails like that of `keep`,
            and what was kept before is then sent.
        """
        done: Future[None] = Future()
        if replacement is None:
            self._held.discard(held.key)
            done.set_result(None)
            return done
        record = replacement
        done.add_done_callback(lambda _: self._replaced(done, held, record))
        self._writes.put(_Write(lambda connection: _replace(connection, record), done))
        return done

    def oldest(self, limit: int) -> list[SpooledRecord]:
        """Return the records that wait longest, oldest first."""
        with open_for_reading(self._file) as reader:
            rows = reader.execute(
                "SELECT topic, key, value, number FROM records ORDER BY number LIMIT ?",
                (limit + len(self._held),),
            ).fetchall()
        records = [SpooledRecord(*row) for row in rows]
        return [record for record in records if record.key not in self._held][:limit]

    def forget(self, records: Sequence[SpooledRecord]) -> None:
        """Remove records that the event log has."""
        numbers = [(record.number,) for record in records]
        self._leave(records, lambda connection: _delete(connection, numbers))

    def set_aside(self, record: SpooledRecord, reason: str) -> None:
        """Keep a record that the event log will never take where it blocks no other."""
        self._leave([record], lambda connection: _set_aside(connection, record.number, reason))
        self._refused += 1

    def close(self) -> None:
        """Write what was handed over and close the file."""
        self._writes.put(None)
        self._thread.join()
        self._connection.close()

    def _leave(
        self, records: Sequence[SpooledRecord], action: Callable[[sqlite3.Connection], None]
    ) -> None:
        done: Future[None] = Future()
        self._writes.put(_Write(action, done))
        done.result()
        with self._lock:
            self._depth -= len(records)
            self._bytes -= sum(len(record.value) for record in records)

    def _settle(self, done: "Future[None]", count: int, size: int) -> None:
        if done.exception() is not None:
            with self._lock:
                self._depth -= count
                self._bytes -= size

    def _replaced(self, done: "Future[None]", held: Record, record: Record) -> None:
        with self._lock:
            self._held.discard(held.key)
            if done.exception() is None:
                self._bytes += len(record.value) - len(held.value)

    def _full(self) -> UnavailableError:
        return UnavailableError(
            f"The spool holds {self._bytes:,} bytes of events that the event log has not taken.",
            next_step="check the event log; requests are accepted again as the spool empties",
        )

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            writes = [write for write in batch if write is not None]
            if writes:
                self._commit(writes)
            if len(writes) < len(batch):
                return

    def _next_batch(self) -> list[_Write | None]:
        batch = [self._writes.get()]
        while batch[-1] is not None and len(batch) < _BATCH:
            try:
                batch.append(self._writes.get_nowait())
            except queue.Empty:
                break
        return batch

    def _commit(self, writes: Sequence[_Write]) -> None:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                for write in writes:
                    write.action(self._connection)
        except sqlite3.Error as error:
            self._failure = str(error)
            failure = StorageError(
                f"The spool {self._file} cannot be written: {error}.",
                next_step="make room on the disk and check its health",
            )
            for write in writes:
                write.done.set_exception(failure)
            return
        self._failure = None
        for write in writes:
            write.done.set_result(None)


def _open(file: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        use_write_ahead_log(connection, seconds=_OPEN_SECONDS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise StorageError(
            f"The spool {file} cannot be opened: {error}.",
            next_step="restore the file, or move it away: its events are then missing in the log",
        ) from error
    return connection


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[str, bytes, bytes]]) -> None:
    connection.executemany("INSERT INTO records (topic, key, value) VALUES (?, ?, ?)", rows)


def _replace(connection: sqlite3.Connection, record: Record) -> None:
    connection.execute(
        "UPDATE records SET value = ? WHERE topic = ? AND key = ?",
        (record.value, record.topic, record.key),
    )


def _delete(connection: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> None:
    connection.executemany("DELETE FROM records WHERE number = ?", numbers)


def _set_aside(connection: sqlite3.Connection, number: int, reason: str) -> None:
    connection.execute(
        "INSERT INTO refused SELECT number, topic, key, value, ? FROM records WHERE number = ?",
        (reason, number),
    )
    _delete(connection, [(number,)])
