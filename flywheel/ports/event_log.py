"""Port: a partitioned, durable log of events, read by consumer groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["EventLog", "LogConsumer", "LogRecord", "Partition", "Topic"]


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


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record with its source position."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes
    appended_at: datetime


class LogConsumer(Protocol):
    """One member of a consumer group; several may race, the lake's commit decides."""

    def poll(self, *, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        """Return the next records of the assigned partitions, none after the timeout.

        Called by ingest. A position that the log no longer holds raises LogGapError; a broker
        that is away raises UnavailableError.
        """
        ...

    def assignment(self) -> Sequence[Partition]:
        """Name the partitions this member reads now."""
        ...

    def seek(self, partition: Partition, offset: int) -> None:
        """Continue reading a partition at ``offset``; ingest calls it with the lake's position."""
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Remember the next offset to read, as a courtesy to monitoring.

        Called after the lake's commit; a failure loses nothing, since the lake holds the truth.
        """
        ...

    def close(self) -> None:
        """Leave the group."""
        ...


class EventLog(Protocol):
    """Append and read records."""

    def create_topic(self, name: str, *, partitions: int) -> Topic:
        """Make a topic, or return the one that is there."""
        ...

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records; operators and tests call it."""
        ...

    def topic(self, name: str) -> Topic:
        """Describe a topic; NotFoundError where there is none."""
        ...

    def append(self, topic: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
        """Append (key, value) pairs durably, all or none; one key stays in one partition.

        Called by producers, by several processes at once.
        """
        ...

    def first_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the oldest offset still held, per partition."""
        ...

    def end_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the offset that the next record will get, per partition."""
        ...

    def consumer(self, topic: str, *, group: str) -> LogConsumer:
        """Join a group; called once per ingest process and topic."""
        ...

    def close(self) -> None:
        """Release connections and files."""
        ...
