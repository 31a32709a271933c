"""Topics of a Kafka cluster: their ids, partitions, offsets and limits.

The topic's own id decides which records are whose: a topic that is deleted and made again under its
name starts at zero, and the client, which fetches by name, would go on reading without a word.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from flywheel.errors import ConfigurationError, NotFoundError, TransientError, UnavailableError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_errors import translated
from flywheel.ports.event_log import Partition, Topic, TopicSettings

__all__ = ["KafkaTopics"]

_ATTEMPTS = 10
_TRIES = 3
_ANY = -1  # no broker in particular
_WAIT_SECONDS = 0.2

Answer = TypeVar("Answer")


class KafkaTopics:
    """Asks the cluster, over one connection of its own that is opened again after a failure."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._client: Any = None
        self._leaders: dict[str, frozenset[int]] = {}

    def find(self, name: str) -> Topic | None:
        """Describe a topic, None where there is none."""
        found = self._describe(name)
        return None if found is None else Topic(name, found["topic_id"], len(found["partitions"]))

    def get(self, name: str) -> Topic:
        """Describe a topic; NotFoundError where there is none."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(
                f"There is no topic {name!r}.", next_step="make it with `flywheel topics apply`"
            )
        return found

    def create(self, name: str, settings: TopicSettings) -> Topic:
        """Make a topic, or return the one that is there; afterwards every broker knows it."""
        found = self._agreed(name)
        if found is not None:
            return found
        wanted = {"num_partitions": settings.partitions, "configs": _configs(settings)}
        answer = self._ask(
            f"making topic {name}",
            lambda client: client.create_topics({name: wanted}, raise_errors=False),
        )
        code = answer["topics"][0]["error_code"]
        if code:
            from kafka.errors import (
                TopicAlreadyExistsError,
                for_code,
            )

            if code != TopicAlreadyExistsError.errno:  # another process was quicker
                with translated(f"making topic {name}"):
                    raise for_code(code)(answer["topics"][0]["error_message"])
        wait = int(self._connection.timeout_seconds * 1000)
        self._ask(
            f"waiting for topic {name}",
            lambda client: client.wait_for_topics([name], timeout_ms=wait),
        )
        return self._agreed(name) or self.get(name)

    def delete(self, name: str) -> None:
        """Delete a topic with its records; afterwards no broker knows it."""
        self.get(name)
        with suppress(NotFoundError):  # another process was quicker
            self._ask(f"deleting topic {name}", lambda client: client.delete_topics([name]))
        deadline = time.monotonic() + self._connection.timeout_seconds
        while self._agreed(name) is not None and time.monotonic() < deadline:
            time.sleep(_WAIT_SECONDS)

    def settings(self, name: str) -> TopicSettings:
        """Return what a topic was made with."""
        from kafka.admin import ConfigResource, ConfigResourceType

        topic = self.get(name)
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        found = self._ask(
            f"describing {name}",
            lambda client: client.describe_configs([resource], config_filter="all"),
        )["topic"][name]
        value = {key: entry["value"] for key, entry in found.items()}
        retention = int(value["retention.ms"])
        return TopicSettings(
            partitions=topic.partitions,
            retention_seconds=retention // 1000 if retention >= 0 else -1,
            record_bytes=int(value["max.message.bytes"]),
            cleanup=value["cleanup.policy"],
            record_time=value["message.timestamp.type"],
        )

    def offsets(self, name: str, which: str) -> dict[Partition, int]:
        """Return the earliest or latest committed offset of each partition, of one topic id."""
        for _ in range(_ATTEMPTS):
            topic = self.get(name)
            found = self.offsets_of(name, range(topic.partitions), which)
            again = self.find(name)
            if again is not None and again.topic_id == topic.topic_id:
                return {
                    Partition(name, topic.topic_id, number): offset
                    for number, offset in sorted(found.items())
                }
        raise UnavailableError(
            f"Topic {name} is made again and again.", next_step="try again when it stays"
        )

    def offsets_of(self, name: str, numbers: Iterable[int], which: str) -> dict[int, int]:
        """Return offsets by the topic's name; the caller knows that it is the one meant."""
        from kafka import IsolationLevel, OffsetSpec, TopicPartition

        spec = OffsetSpec.EARLIEST if which == "first" else OffsetSpec.LATEST
        wanted = {TopicPartition(name, number): spec for number in numbers}
        found = self._ask(
            f"reading the offsets of {name}",
            lambda client: client.list_partition_offsets(
                wanted, isolation_level=IsolationLevel.READ_COMMITTED
            ),
        )
        return {place.partition: answer.offset for place, answer in found.items()}

    def require_same(self, topic: Topic, numbers: Collection[int] = ()) -> None:
        """Raise NotFoundError unless the topic is, after all that was read so far, still the same.

        Every broker that leads one of the partitions is asked, not just any: a broker learns of a
        topic's end before it serves the next one of that name, but not before the others do.
        """
        # Taken out first: a leader that does not answer need not be one for long.
        asking = set(self._leaders.pop(topic.name, frozenset({_ANY})))
        asked: set[int] = set()
        leaders: set[int] = set()
        while asking:
            for node in asking:
                found = self._describe(topic.name, node)
                if found is None or found["topic_id"] != topic.topic_id:
                    raise NotFoundError(
                        f"Topic {topic.name} was deleted while it was read.",
                        next_step="join again to read the topic of that name",
                    )
                leaders |= {
                    part["leader_id"]
                    for part in found["partitions"]
                    if part["partition_index"] in numbers and part["leader_id"] != _ANY
                }
            asked |= asking
            asking = leaders - asked
        self._leaders[topic.name] = frozenset(leaders or {_ANY})

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):  # it is gone either way
                client.close()

    def _agreed(self, name: str) -> Topic | None:
        # Brokers learn of topics one after the other, and any of them may be asked next: one that
        # is behind would say that a new topic is not there, or that a deleted one still is.
        deadline = time.monotonic() + self._connection.timeout_seconds
        while True:
            found = {}
            for node in self._brokers():
                with suppress(TransientError):  # it died; it learns all before it serves again
                    found[node] = self._describe(name, node)
            ids = {None if one is None else one["topic_id"] for one in found.values()}
            if len(ids) == 1:
                return self.find(name)
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"The brokers do not agree on topic {name}.",
                    next_step="look whether each of them runs, and at its log",
                )
            time.sleep(_WAIT_SECONDS)

    def _brokers(self) -> list[int]:
        answer = self._ask("asking for its brokers", lambda client: client.describe_cluster())
        return [one["broker_id"] for one in answer["brokers"] if not one.get("is_fenced")]

    def _describe(self, name: str, node: int = _ANY) -> dict[str, Any] | None:
        from kafka.errors import NoError, UnknownTopicOrPartitionError, for_code
        from kafka.protocol.metadata import MetadataRequest

        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=name)],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        )

        def ask(client: Any) -> dict[str, Any] | None:
            manager = client._manager  # noqa: SLF001 - describe_topics cannot ask one broker

            async def send() -> Any:
                return await manager.send(request, node_id=None if node == _ANY else node)

            (found,) = manager.run(send).to_dict()["topics"]
            error = for_code(found["error_code"])
            if error is UnknownTopicOrPartitionError:
                return None
            if error is not NoError:
                raise error(name)
            return dict(found)

        # One broker in particular is asked once: a dead one does not answer the second time.
        asking = self._ask if node == _ANY else self._ask_once
        return asking(f"describing {name}", ask)

    def _ask(self, what: str, question: Callable[[Any], Answer]) -> Answer:
        # A broker that has just gone is known for a while yet: another one may answer.
        for _ in range(_TRIES - 1):
            with suppress(TransientError):
                return self._ask_once(what, question)
            time.sleep(_WAIT_SECONDS)
        return self._ask_once(what, question)

    def _ask_once(self, what: str, question: Callable[[Any], Answer]) -> Answer:
        try:
            with translated(what):
                return question(self._open())
        except TransientError:
            # The client may know only brokers that are no more.
            self.close()
            raise

    def _open(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connection.admin()
            return self._client


def _configs(settings: TopicSettings) -> Mapping[str, str]:
    if settings.partitions < 1:
        raise ConfigurationError(
            f"A topic needs at least one partition, not {settings.partitions}.",
            next_step="give a positive number",
        )
    retention = settings.retention_seconds
    found = {
        "retention.ms": None if retention is None else str(retention * 1000),
        "max.message.bytes": None if settings.record_bytes is None else str(settings.record_bytes),
        "cleanup.policy": settings.cleanup,
        "message.timestamp.type": settings.record_time,
    }
    return {key: value for key, value in found.items() if value is not None}
