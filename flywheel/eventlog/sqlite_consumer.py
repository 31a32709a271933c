"""One member of a consumer group of the embedded log.

A member holds a lease that each poll renews. The partitions are shared out by rank among the
members whose lease lives, so that a dead member's partitions move over when its lease has run out.
Two members may read the same partition for a moment; the lake's commit decides then.
"""

import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flywheel.errors import NotFoundError
from flywheel.eventlog.gap import gap_error
from flywheel.eventlog.sqlite_schema import connect, reading, writing
from flywheel.ports.event_log import LogRecord, Partition, Topic

__all__ = ["LEASE_SECONDS", "SqliteConsumer"]

LEASE_SECONDS = 10.0
_WAIT_SECONDS = 0.05
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteConsumer:
    """A member of a group, reading one topic."""

    def __init__(
        self, path: Path, topic: Topic, group: str, *, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self.member_id = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex}"
        self._path = path
        self._topic = topic
        self._group = group
        self._lease_seconds = lease_seconds
        self._renew_at = 0.0
        self._closed = False
        self._connection = connect(path)
        self._positions: dict[Partition, int] = {}
        self._assigned: tuple[Partition, ...] = ()
        self._renew()

    def assignment(self) -> Sequence[Partition]:
        """Name the partitions this member reads now."""
        if time.time() >= self._renew_at:
            self._renew()
        return self._assigned

    def poll(self, *, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        """Return the next records of the assigned partitions, none after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            records: list[LogRecord] = []
            for partition in self.assignment():
                records += self._read(partition, maximum - len(records))
                if len(records) >= maximum:
                    break
            # The first partition must not starve the others when batches are full.
            self._assigned = self._assigned[1:] + self._assigned[:1]
            if records or time.monotonic() >= deadline:
                return records
            time.sleep(min(_WAIT_SECONDS, max(0.0, deadline - time.monotonic())))

    def seek(self, partition: Partition, offset: int) -> None:
        """Continue reading a partition at ``offset``."""
        self._positions[partition] = offset

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember the next offset to read, as a courtesy to monitoring."""
        with writing(self._connection, self._path) as connection:
            connection.executemany(
                "INSERT INTO commits SELECT topic_key, ?, ?, ? FROM topics WHERE topic_id = ? "
                "ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
                [
                    (self._group, partition.number, offset, partition.topic_id)
                    for partition, offset in offsets.items()
                ],
            )

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        if self._closed:
            return
        self._closed = True
        with writing(self._connection, self._path) as connection:
            connection.execute("DELETE FROM members WHERE member_id = ?", (self.member_id,))
        self._connection.close()

    def _read(self, partition: Partition, maximum: int) -> list[LogRecord]:
        position = self._positions[partition]
        with reading(self._connection, self._path) as connection:
            bounds = connection.execute(
                "SELECT p.topic_key, p.first_offset, p.end_offset FROM partitions p "
                "JOIN topics t USING (topic_key) WHERE t.topic_id = ? AND p.number = ?",
                (partition.topic_id, partition.number),
            ).fetchone()
            if bounds is None:
                raise NotFoundError(
                    f"Topic {partition.topic} was deleted while it was read.",
                    next_step="join again to read the topic of that name",
                )
            key, first, end = bounds
            if not first <= position <= end:
                raise gap_error(partition, position, first, end)
            rows = connection.execute(
                'SELECT "offset", key, value, appended_at FROM records WHERE topic_key = ? '
                'AND number = ? AND "offset" >= ? ORDER BY "offset" LIMIT ?',
                (key, partition.number, position, maximum),
            ).fetchall()
        if rows:
            self._positions[partition] = rows[-1][0] + 1
        return [
            LogRecord(partition, at, record_key, value, _EPOCH + timedelta(microseconds=appended))
            for at, record_key, value, appended in rows
        ]

    def _renew(self) -> None:
        now = time.time()
        with writing(self._connection, self._path) as connection:
            row = connection.execute(
                "SELECT topic_key FROM topics WHERE topic_id = ?", (self._topic.topic_id,)
            ).fetchone()
            if row is None:
                raise NotFoundError(
                    f"Topic {self._topic.name} was deleted while it was read.",
                    next_step="join again to read the topic of that name",
                )
            key = row[0]
            connection.execute(
                "DELETE FROM members WHERE topic_key = ? AND group_name = ? AND alive_until < ?",
                (key, self._group, now),
            )
            connection.execute(
                "INSERT INTO members VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET alive_until = excluded.alive_until",
                (key, self._group, self.member_id, now + self._lease_seconds),
            )
            members = self._living(connection, key)
            committed = dict(
                connection.execute(
                    "SELECT number, next_offset FROM commits "
                    "WHERE topic_key = ? AND group_name = ?",
                    (key, self._group),
                ).fetchall()
            )
            firsts = dict(
                connection.execute(
                    "SELECT number, first_offset FROM partitions WHERE topic_key = ?", (key,)
                ).fetchall()
            )
        self._renew_at = now + self._lease_seconds / 20
        self._share_out(members, committed, firsts)

    def _living(self, connection: sqlite3.Connection, key: int) -> list[str]:
        rows = connection.execute(
            "SELECT member_id FROM members WHERE topic_key = ? AND group_name = ? "
            "ORDER BY member_id",
            (key, self._group),
        ).fetchall()
        members = [member for (member,) in rows]
        # A process that was killed on this machine need not be waited for.
        dead = [member for member in members if _process_is_gone(member)]
        connection.executemany(
            "DELETE FROM members WHERE member_id = ?", [(member,) for member in dead]
        )
        return [member for member in members if member not in dead]

    def _share_out(
        self, members: list[str], committed: dict[int, int], firsts: dict[int, int]
    ) -> None:
        rank = members.index(self.member_id)
        assigned = tuple(
            Partition(self._topic.name, self._topic.topic_id, number)
            for number in range(self._topic.partitions)
            if number % len(members) == rank
        )
        # A partition that has just come over starts where its group said it was.
        positions = {
            partition: self._positions[partition]
            for partition in assigned
            if partition in self._positions
        }
        for partition in assigned:
            number = partition.number
            positions.setdefault(partition, committed.get(number, firsts[number]))
        self._positions = positions
        if set(assigned) != set(self._assigned):
            self._assigned = assigned


def _process_is_gone(member_id: str) -> bool:
    host, process, _ = member_id.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
