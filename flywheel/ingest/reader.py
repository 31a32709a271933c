"""Read one topic from the lake's positions on, whatever the log's group believes.

A group moves partitions between its members at any moment, and a member that gets one back reads
from wherever the group thinks. So every record is held against the next offset expected: an earlier
one was read before, a later one means that the log is asked again from there.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import attrgetter

from flywheel.errors import NotFoundError, TransientError
from flywheel.ingest.arrow import table_of
from flywheel.lake.store import Lake
from flywheel.ports.event_log import EventLog, LogConsumer, LogRecord, Partition
from flywheel.ports.topics import ensure_topic

__all__ = ["BATCH_BYTES", "TopicReader"]

# Raw bytes of one batch: decoded, laid out and compressed, they take about five times as much.
BATCH_BYTES = 64 * 2**20
_POLL_RECORDS = 2_000


class TopicReader:
    """One consumer of one topic, with the positions that the lake holds.

    What was fetched waits until it is taken, so that a slow stream can be gathered over many polls.
    """

    def __init__(self, log: EventLog, lake: Lake, topic: str, group: str) -> None:
        self._log = log
        self._lake = lake
        self._topic = topic
        self._group = group
        self._landed: dict[Partition, int] = {}  # where the lake stood when we looked
        self._expected: dict[Partition, int] = {}  # the next offset of what we read
        self._asked_again: dict[Partition, int] = {}
        self._holes: dict[Partition, int] = {}  # offsets passed since, that hold no record
        self._waiting: list[LogRecord] = []
        self._waiting_bytes = 0
        self._waiting_since = 0.0
        self._consumer: LogConsumer | None = self._join()

    def read(self, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        """Gather up to ``maximum`` records until the timeout, each exactly at its turn."""
        deadline = time.monotonic() + timeout_seconds
        while not self.full(maximum) and self.fetch(
            maximum, timeout_seconds=max(0.0, deadline - time.monotonic())
        ):
            pass
        return self.take()

    def fetch(self, maximum: int, *, timeout_seconds: float) -> int:
        """Poll once, let what came wait, and return how many records came; none after the timeout.

        Args:
            maximum: most records that may wait.
            timeout_seconds: how long to wait for the first one.
        """
        with self.forgetting_on_failure():
            if self._consumer is not None:
                try:
                    return self._fetch(self._consumer, maximum, timeout_seconds)
                except NotFoundError:
                    # The topic was deleted: one of that name with another id may be there instead.
                    self.close()
            if self._waiting:
                return 0  # what was read of the old one lands first
            self._consumer = self._join()
            return self._fetch(self._consumer, maximum, timeout_seconds)

    def full(self, maximum: int) -> bool:
        """Return whether as many records or bytes wait as one batch may have."""
        return len(self._waiting) >= maximum or self._waiting_bytes >= BATCH_BYTES

    def take(self) -> list[LogRecord]:
        """Return what waits; land it, or let `forgetting_on_failure` read it again."""
        records, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return records

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of values wait."""
        return self._waiting_bytes

    @property
    def waiting_seconds(self) -> float:
        """How long the oldest record has waited."""
        return time.monotonic() - self._waiting_since if self._waiting else 0.0

    @property
    def positions(self) -> dict[Partition, int]:
        """Where the lake stands in each partition that this member reads."""
        return dict(self._landed)

    def offset_ranges(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Return, per source, the position read from and the next to read."""
        return {
            (partition.topic_id, partition.number): (start, self._expected[partition])
            for partition, start in self._landed.items()
            if self._expected[partition] != start
        }

    def empty_offsets(self) -> dict[tuple[str, int], int]:
        """Return, per source, how many offsets of the move hold no record.

        Transaction markers, aborted transactions and compaction leave such. The log was asked for
        each of them again, and had nothing there.
        """
        return {(part.topic_id, part.number): count for part, count in self._holes.items()}

    def advance(self) -> None:
        """Record that what was read has landed, and commit it to the group as a courtesy."""
        self._landed = dict(self._expected)
        self._holes.clear()
        if self._consumer is not None:
            with suppress(TransientError, NotFoundError):  # the lake holds the truth
                self._consumer.commit(self._landed)

    @contextmanager
    def forgetting_on_failure(self) -> Iterator[None]:
        """Read from the lake's positions again when the block fails."""
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def close(self) -> None:
        """Leave the group; the next fetch joins it again."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _join(self) -> LogConsumer:
        ensure_topic(self._log, self._topic)
        self._forget()
        return self._log.consumer(self._topic, group=self._group)

    def _forget(self) -> None:
        self._landed.clear()
        self._expected.clear()
        self._holes.clear()
        self.take()

    def _fetch(self, consumer: LogConsumer, maximum: int, timeout_seconds: float) -> int:
        revoked = self._follow_assignment(consumer)
        if revoked:
            self._waiting = [record for record in self._waiting if record.partition not in revoked]
            self._waiting_bytes = sum(len(record.value) for record in self._waiting)
        came = consumer.poll(
            maximum=min(_POLL_RECORDS, maximum - len(self._waiting)),
            timeout_seconds=timeout_seconds,
        )
        new = self._in_turn(consumer, came)
        if new and not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting += new
        self._waiting_bytes += sum(len(record.value) for record in new)
        return len(came)

    def _follow_assignment(self, consumer: LogConsumer) -> set[Partition]:
        # Returns the partitions of which nothing that was gathered counts any more.
        assigned = set(consumer.assignment())
        revoked = set(self._landed) - assigned
        for partition in revoked:
            del self._landed[partition], self._expected[partition]
            self._holes.pop(partition, None)
        for partition in assigned - set(self._landed):
            table = table_of(self._topic)
            at = self._lake.position(table, partition.topic_id, partition.number) or 0
            self._landed[partition] = self._expected[partition] = at
            consumer.seek(partition, at)
        return revoked

    def _in_turn(self, consumer: LogConsumer, records: list[LogRecord]) -> list[LogRecord]:
        runs: dict[Partition, list[LogRecord]] = {}
        for partition, group in groupby(records, key=attrgetter("partition")):
            runs.setdefault(partition, []).extend(group)
        accepted: list[LogRecord] = []
        for partition, run in runs.items():
            first, last = run[0].offset, run[-1].offset
            if self._expected.get(partition) == first and last - first == len(run) - 1:
                self._expected[partition] = last + 1
                accepted += run
            else:
                accepted += self._one_by_one(consumer, partition, run)
        return accepted

    def _one_by_one(
        self, consumer: LogConsumer, partition: Partition, records: list[LogRecord]
    ) -> list[LogRecord]:
        accepted: list[LogRecord] = []
        for record in records:
            offset, expected = record.offset, self._expected.get(partition)
            if expected is None or offset < expected:
                continue
            if offset > expected:
                if not accepted and self._asked_again.get(partition) != expected:
                    # Asked from the very place, a log that lost records raises; one that has a
                    # hole there by nature gives the same answer, which is accepted. What one poll
                    # leaves out between two records is a hole anyway.
                    self._asked_again[partition] = expected
                    consumer.seek(partition, expected)
                    break
                self._holes[partition] = self._holes.get(partition, 0) + offset - expected
            self._expected[partition] = offset + 1
            accepted.append(record)
        return accepted
