"""The embedded event log: one SQLite file in WAL mode, for any number of processes.

Offsets are dense per partition. A topic that is deleted and made again gets a new id and starts at
zero. Waiting, leases and timeouts use real time, since they concern live processes; only
``appended_at`` comes from the injected clock.
"""

import sqlite3
import threading
import uuid
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flywheel.clock import Clock
from flywheel.errors import ConfigurationError, NotFoundError
from flywheel.eventlog.sqlite_consumer import SqliteConsumer
from flywheel.eventlog.sqlite_schema import connect, reading, write_anew, writing
from flywheel.ports.event_log import (
    ERASED_VALUE,
    RECORD_BYTES,
    RETENTION_SECONDS,
    LogConsumer,
    LogRecord,
    Partition,
    Topic,
    TopicSettings,
)

__all__ = ["SqliteEventLog"]

_READ_AT_ONCE = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteEventLog:
    """An event log in one file; see the port for what each method promises."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._connection = connect(path)
        self._consumers: list[SqliteConsumer] = []
        self._turn = 0

    def create_topic(
        self,
        name: str,
        *,
        partitions: int,
        retention_seconds: int = RETENTION_SECONDS,  # noqa: ARG002 - this log keeps every record
        record_bytes: int = RECORD_BYTES,  # noqa: ARG002 - and takes any
    ) -> Topic:
        """Make a topic, or return the one that is there."""
        if partitions < 1:
            raise ConfigurationError(
                f"Topic {name} needs at least one partition, not {partitions}.",
                next_step="give a positive number",
            )
        with self._lock, writing(self._connection, self.path) as connection:
            existing = _find(connection, name)
            if existing is not None:
                return existing[1]
            topic_id = uuid.uuid4().hex
            key = connection.execute(
                "INSERT INTO topics (topic_id, name, partitions) VALUES (?, ?, ?)",
                (topic_id, name, partitions),
            ).lastrowid
            connection.executemany(
                "INSERT INTO partitions (topic_key, number) VALUES (?, ?)",
                [(key, number) for number in range(partitions)],
            )
        return Topic(name, topic_id, partitions)

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records, positions and members."""
        with self._lock, writing(self._connection, self.path) as connection:
            key, _ = _get(connection, name)
            connection.execute("DELETE FROM topics WHERE topic_key = ?", (key,))

    def topic(self, name: str) -> Topic:
        """Describe a topic."""
        with self._lock, reading(self._connection, self.path) as connection:
            return _get(connection, name)[1]

    def topic_settings(self, name: str) -> TopicSettings:
        """Return the number of partitions, the one thing that a topic has here."""
        return TopicSettings(self.topic(name).partitions, None, None, None, None)

    def append(self, topic: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Append (key, value) pairs in one transaction; one key stays in one partition."""
        if not records:
            return
        now = (self._clock.now() - _EPOCH) // timedelta(microseconds=1)
        with self._lock, writing(self._connection, self.path) as connection:
            key, existing = _get(connection, topic)
            ends = dict(
                connection.execute(
                    "SELECT number, end_offset FROM partitions WHERE topic_key = ?", (key,)
                ).fetchall()
            )
            rows = []
            for record_key, value in records:
                number = self._partition(record_key, existing.partitions)
                rows.append((key, number, ends[number], now, record_key, value))
                ends[number] += 1
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.executemany(
                "UPDATE partitions SET end_offset = ? WHERE topic_key = ? AND number = ?",
                [(end, key, number) for number, end in ends.items()],
            )

    def first_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the oldest offset still held, per partition."""
        return {partition: first for partition, first, _ in self._bounds(topic)}

    def end_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the offset that the next record will get, per partition."""
        return {partition: end for partition, _, end in self._bounds(topic)}

    def read(self, partition: Partition, offset: int, *, maximum: int) -> list[LogRecord]:
        """Return records of one partition from ``offset`` on, outside any group."""
        with self._lock, reading(self._connection, self.path) as connection:
            rows = connection.execute(
                'SELECT r."offset", r.key, r.value, r.appended_at FROM records r '
                "JOIN topics t USING (topic_key) WHERE t.topic_id = ? AND r.number = ? "
                'AND r."offset" >= ? ORDER BY r."offset" LIMIT ?',
                (partition.topic_id, partition.number, offset, maximum),
            ).fetchall()
        return [
            LogRecord(partition, at, key, value, _EPOCH + timedelta(microseconds=appended))
            for at, key, value, appended in rows
        ]

    def delete_before(self, partition: Partition, offset: int) -> None:
        """Forget the records of a partition before ``offset``, as a retention would."""
        with self._lock, writing(self._connection, self.path) as connection:
            key, _ = _get(connection, partition.topic)
            connection.execute(
                'DELETE FROM records WHERE topic_key = ? AND number = ? AND "offset" < ?',
                (key, partition.number, offset),
            )
            connection.execute(
                "UPDATE partitions SET first_offset = max(first_offset, min(?, end_offset)) "
                "WHERE topic_key = ? AND number = ?",
                (offset, key, partition.number),
            )

    def erase(self, topic: str, is_theirs: Callable[[LogRecord], bool]) -> int:
        """Empty the records that are a person's, and rewrite the file without them."""
        erased = 0
        for partition, first, end in self._bounds(topic):
            at = first
            while at < end:
                records = self.read(partition, at, maximum=_READ_AT_ONCE)
                offsets = [one.offset for one in records if is_theirs(one)]
                erased += len(offsets)
                self._empty(partition, offsets)
                at = records[-1].offset + 1 if records else end
        with self._lock:
            write_anew(self._connection, self.path)
        return erased

    def _empty(self, partition: Partition, offsets: Sequence[int]) -> None:
        if not offsets:
            return
        with self._lock, writing(self._connection, self.path) as connection:
            key, _ = _get(connection, partition.topic)
            connection.executemany(
                "UPDATE records SET key = NULL, value = ? "
                'WHERE topic_key = ? AND number = ? AND "offset" = ?',
                [(ERASED_VALUE, key, partition.number, offset) for offset in offsets],
            )

    def consumer(self, topic: str, *, group: str) -> LogConsumer:
        """Join a group; the partitions are shared out among its living members."""
        consumer = SqliteConsumer(self.path, self.topic(topic), group)
        self._consumers.append(consumer)
        return consumer

    def close(self) -> None:
        """Let every consumer leave and close the file."""
        for consumer in self._consumers:
            consumer.close()
        self._consumers.clear()
        with self._lock:
            self._connection.close()

    def _bounds(self, topic: str) -> list[tuple[Partition, int, int]]:
        with self._lock, reading(self._connection, self.path) as connection:
            key, existing = _get(connection, topic)
            rows = connection.execute(
                "SELECT number, first_offset, end_offset FROM partitions WHERE topic_key = ? "
                "ORDER BY number",
                (key,),
            ).fetchall()
        return [
            (Partition(topic, existing.topic_id, number), first, end) for number, first, end in rows
        ]

    def _partition(self, key: bytes | None, partitions: int) -> int:
        if key is not None:
            return zlib.crc32(key) % partitions
        self._turn += 1  # records without a key take turns
        return self._turn % partitions


def _find(connection: sqlite3.Connection, name: str) -> tuple[int, Topic] | None:
    row = connection.execute(
        "SELECT topic_key, topic_id, partitions FROM topics WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else (row[0], Topic(name, row[1], row[2]))


def _get(connection: sqlite3.Connection, name: str) -> tuple[int, Topic]:
    existing = _find(connection, name)
    if existing is None:
        raise NotFoundError(f"There is no topic {name!r}.", next_step="create it first")
    return existing
