"""Port: a partitioned, durable log of events, read by consumer groups.

What the adapters promise differs in one thing, `EventLog.append`: the embedded log appends all or
none, Kafka has all of it durable or raises, and some may be there then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

__all__ = [
    "ERASED_VALUE",
    "RECORD_BYTES",
    "RETENTION_SECONDS",
    "EventLog",
    "LogConsumer",
    "LogRecord",
    "Partition",
    "Topic",
    "TopicSettings",
]

RETENTION_SECONDS = 14 * 24 * 3600
# What is left of a record that was erased.
ERASED_VALUE = b'{"erased":true}'
# Above what ingest takes by far, so that an event which is too large is a dead letter that someone
# can look at, and not an error at some producer's.
RECORD_BYTES = 8 * 2**20


@dataclass(frozen=True, order=True)
class Partition:
    """One partition of one topic, named by the topic's own id (not by its name)."""

    topic: str
    topic_id: str
    number: int


@dataclass(frozen=True)
class Topic:
    """A topic as the log knows it; ``topic_id`` changes when it is deleted and made again."""

    name: str
    topic_id: str
    partitions: int


@dataclass(frozen=True)
class TopicSettings:
    """What a topic is made with; None where a log has no such thing.

    ``retention_seconds`` is -1 for ever; ``cleanup`` is "delete" where records go by age alone (a
    compacted topic loses the earlier ones of a key); ``record_time`` says who dates a record: the
    log ("LogAppendTime"), so that no producer's clock has it deleted, or its producer.
    """

    partitions: int
    retention_seconds: int | None = RETENTION_SECONDS
    record_bytes: int | None = RECORD_BYTES
    cleanup: str | None = "delete"
    record_time: str | None = "LogAppendTime"


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """One record with its source position.

    A struct, not a dataclass: millions of them are made, each ten times faster.
    """

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes
    appended_at: datetime


class LogConsumer(Protocol):
    """One member of a consumer group; several may race, the lake's commit decides.

    Used by one thread. A record is handed out under the id of the topic that it was read from,
    never under that of a topic of the same name.
    """

    def poll(self, *, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        """Return the next records of the assigned partitions, none after the timeout.

        Called by ingest, again and again: this is also what keeps the member in its group. Of each
        partition the records are in order, and an offset left out between two holds no record.
        Without a timeout, it returns nothing only where the log held nothing. In a rebalance it may wait
        longer than requested, and return records of a partition that has just come over.

        Raises:
            LogGapError: the log no longer holds (or never reached) the position; nothing is
                skipped, and the next poll says the same until someone acts.
            NotFoundError: the topic was deleted; one of that name is another topic, to be joined
                anew. Of what was read nothing is handed out.
            UnavailableError: the broker is away; the next poll reads on from where this one did.
        """
        ...

    def assignment(self) -> Sequence[Partition]:
        """Name the partitions this member reads now.

        Called by ingest before each poll, so that it can seek in what has just come over. May wait
        for a rebalance to end; raises UnavailableError where the group cannot be joined.
        """
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Continue reading a partition at ``offset``.

        Called by ingest with the lake's position when a partition comes over, and when a record did
        not come at its turn. A partition that has moved on meanwhile is left alone.
        """
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember the next offset to read, as a courtesy to monitoring.

        Called after the lake's commit. A failure (TransientError: the group is being shared out
        anew or the broker is away; NotFoundError: the topic is no more) loses nothing, since the
        lake holds the truth.
        """
        ...

    def close(self) -> None:
        """Leave the group, so that the others take over at once; called at the end of a process."""
        ...


class EventLog(Protocol):
    """Append and read records; a log may be shared by threads, a consumer may not."""

    def create_topic(
        self,
        name: str,
        *,
        partitions: int,
        retention_seconds: int = RETENTION_SECONDS,
        record_bytes: int = RECORD_BYTES,
    ) -> Topic:
        """Make a topic, or return the one that is there, unchanged.

        Called by ingest for the topics it reads, and by ``flywheel topics apply``.
        """
        ...

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records; operators and tests call it."""
        ...

    def topic(self, name: str) -> Topic:
        """Describe a topic; NotFoundError where there is none."""
        ...

    def topic_settings(self, name: str) -> TopicSettings:
        """Return what a topic was made with; ``flywheel topics`` compares it with what is declared."""
        ...

    def append(self, topic: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Append (key, value) pairs durably; one key stays in one partition.

        Called by producers, by several threads and processes at once. When it returns, all of it is
        durable. When it raises, the embedded log has none of it; of Kafka's topic some may have
        got there, which takes no harm: a producer sends the batch again, and an event that is there
        twice is kept, flagged and counted once.

        Raises:
            NotFoundError: there is no such topic.
            DataError: a record is larger than the topic takes; nothing was sent.
            UnavailableError: the broker is away.
        """
        ...

    def first_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the oldest offset still held, per partition; asked when a gap is declared."""
        ...

    def end_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the offset that the next record will get, per partition.

        Asked for lag and ledger. Offsets count positions, not records: on Kafka, transaction
        markers, aborted transactions and compaction leave positions without a record.
        """
        ...

    def erase(self, topic: str, is_theirs: Callable[[LogRecord], bool]) -> int | None:
        """Empty the records that are a person's, and return how many; None: this log cannot.

        Called when a person is erased. The offsets stay, with ``ERASED_VALUE`` and no key: what had
        not landed becomes a dead letter without content. Kafka changes no record, and keeps each
        until its topic's retention ends.
        """
        ...

    def consumer(self, topic: str, *, group: str) -> LogConsumer:
        """Join a group; called once per ingest process and topic, and again for a recreated topic."""
        ...

    def close(self) -> None:
        """Let every consumer leave, and release connections and files."""
        ...
