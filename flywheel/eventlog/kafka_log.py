"""The event log on Apache Kafka.

Topic ids, offsets and limits are asked of the cluster (`kafka_topics`), members of a group are
`kafka_consumer`; here is what producers use, and the whole as the port wants it. A group is one per
topic in Kafka, named GROUP.TOPIC: members that read several topics would wait for each other.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flywheel.errors import DataError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_consumer import KafkaLogConsumer
from flywheel.eventlog.kafka_errors import translated
from flywheel.eventlog.kafka_topics import KafkaTopics
from flywheel.ports.event_log import (
    RECORD_BYTES,
    RETENTION_SECONDS,
    LogConsumer,
    LogRecord,
    Partition,
    Topic,
    TopicSettings,
)

__all__ = ["KafkaEventLog"]

_CHUNK_BYTES = 16 * 2**20
_KNOWN_SECONDS = 30.0
_CLOSE_SECONDS = 5.0

Pair = tuple[bytes | None, bytes]


class KafkaEventLog:
    """An event log on a Kafka cluster; see the port for what each method promises."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._topics = KafkaTopics(connection)
        self._consumers: list[KafkaLogConsumer] = []
        self._lock = threading.Lock()
        self._producer: Any = None
        self._known_until: dict[str, float] = {}

    def create_topic(
        self,
        name: str,
        *,
        partitions: int,
        retention_seconds: int = RETENTION_SECONDS,
        record_bytes: int = RECORD_BYTES,
    ) -> Topic:
        """Make a topic, or return the one that is there."""
        return self._topics.create(name, TopicSettings(partitions, retention_seconds, record_bytes))

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records."""
        self._topics.delete(name)
        self._known_until.pop(name, None)

    def topic(self, name: str) -> Topic:
        """Describe a topic."""
        return self._topics.get(name)

    def topic_settings(self, name: str) -> TopicSettings:
        """Return what a topic was made with."""
        return self._topics.settings(name)

    def append(self, topic: str, records: Sequence[Pair]) -> None:
        """Append (key, value) pairs; all are on every in-sync replica when it returns."""
        pairs = [_checked(topic, key, value) for key, value in records]
        if not pairs:
            return
        # Asked before, since the client waits a minute for a topic that is not there.
        if self._known_until.get(topic, 0.0) < time.monotonic():
            self._topics.get(topic)
            self._known_until[topic] = time.monotonic() + _KNOWN_SECONDS
        for chunk in _chunks(pairs):
            self._send(topic, chunk)

    def first_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the oldest offset still held, per partition."""
        return self._topics.offsets(topic, "first")

    def end_offsets(self, topic: str) -> dict[Partition, int]:
        """Return the offset after the last committed one, per partition."""
        return self._topics.offsets(topic, "end")

    def erase(self, topic: str, is_theirs: Callable[[LogRecord], bool]) -> None:  # noqa: ARG002
        """Change nothing: Kafka keeps each record until its topic's retention ends."""
        return

    def consumer(self, topic: str, *, group: str) -> LogConsumer:
        """Join a group; its partitions are shared out among its members."""
        cached = self._topics.get(topic)
        consumer = KafkaLogConsumer(self._connection, self._topics, cached, f"{group}.{topic}")
        self._consumers.append(consumer)
        return consumer

    def close(self) -> None:
        """Let every consumer leave, and close the connections."""
        for consumer in self._consumers:
            consumer.close()
        self._consumers.clear()
        self._forget_producer(self._producer)
        self._topics.close()

    def _send(self, topic: str, pairs: Sequence[Pair]) -> None:
        operation = f"appending to {topic}"
        with self._lock:
            if self._producer is None:
                self._producer = self._connection.producer()
            producer = self._producer
        try:
            with translated(operation):
                sent = [producer.send(topic, value, key=key) for key, value in pairs]
                # The client gives up by itself, record by record, a little earlier.
                producer.flush(self._connection.timeout_seconds + _CLOSE_SECONDS)
                for future in sent:
                    future.get(timeout=0)  # raises what befell this record
        except BaseException:
            # Its sequence may have a hole now, and the topic may be gone.
            self._known_until.pop(topic, None)
            self._forget_producer(producer)
            raise

    def _forget_producer(self, producer: Any) -> None:
        with self._lock:
            if producer is self._producer:
                self._producer = None
        if producer is None:
            return
        try:
            producer.close(timeout=_CLOSE_SECONDS)
        except Exception:  # noqa: BLE001 - nothing waits for what is left in it
            # Its own destructor would wait for the same again.
            producer._sender.force_close()  # noqa: SLF001
            producer._closed = True  # noqa: SLF001


def _checked(topic: str, key: bytes | None, value: bytes) -> Pair:
    size = len(value) + (0 if key is None else len(key))
    if size > RECORD_BYTES:
        raise DataError(
            f"A record of {size:,} bytes is too large for {topic}, which takes {RECORD_BYTES:,}.",
            next_step="leave out what makes it large; nothing of this batch was sent",
            size=size,
            limit=RECORD_BYTES,
        )
    return key, bytes(value)


def _chunks(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    start = size = 0
    for index, (_, value) in enumerate(pairs):
        size += len(value)
        if size >= _CHUNK_BYTES:
            yield pairs[start : index + 1]
            start, size = index + 1, 0
    if start < len(pairs):
        yield pairs[start:]
