"""Topics of a Kafka cluster: their ids, partitions, offsets and limits.

The topic's own id decides which records are whose: a topic that is deleted and made again under its
name starts at zero, and the client, which fetches by name, would keep reading without an error.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from flywheel.errors import ConfigurationError, NotFoundError, TransientError, UnavailableError
from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_errors import translated
from flywheel.io.patience import Deadline, poll
from flywheel.io.records import JsonObject
from flywheel.io.retry import BROKER, RetryPolicy, retried
from flywheel.ports.event_log import Partition, Topic, TopicSettings

__all__ = ["KafkaTopics"]

_REMADE = RetryPolicy(attempts=10)
_ANY = -1  # no broker in particular
_WAIT_SECONDS = 0.2

Answer = TypeVar("Answer")


class _RemadeError(UnavailableError):
    """Between two questions a topic was deleted and made again."""


class KafkaTopics:
    """Asks the cluster, over one connection of its own that is opened again after a failure."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._client: Any = None
        self._leaders: dict[str, frozenset[int]] = {}

    def find(self, name: str) -> Topic | None:
        """Describe a topic, None where there is none."""
        topic = self._describe(name)
        return None if topic is None else Topic(name, topic["topic_id"], len(topic["partitions"]))

    def get(self, name: str) -> Topic:
        """Describe a topic; NotFoundError where there is none."""
        topic = self.find(name)
        if topic is None:
            raise NotFoundError(
                f"There is no topic {name!r}.", next_step="make it with `flywheel topics apply`"
            )
        return topic

    def create(self, name: str, settings: TopicSettings) -> Topic:
        """Make a topic, or return the one that is there; afterwards every broker knows it."""
        topic = self._agreed(name)
        if topic is not None:
            return topic
        request = {"num_partitions": settings.partitions, "configs": _configs(settings)}
        answer = self._ask(
            f"making topic {name}",
            lambda client: client.create_topics({name: request}, raise_errors=False),
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
        limit = Deadline(self._connection.timeout_seconds)
        poll(lambda: self._agreed(name) is None, limit, pause=_WAIT_SECONDS)

    def settings(self, name: str) -> TopicSettings:
        """Return what a topic was made with."""
        from kafka.admin import ConfigResource, ConfigResourceType

        topic = self.get(name)
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        configs = self._ask(
            f"describing {name}",
            lambda client: client.describe_configs([resource], config_filter="all"),
        )["topic"][name]
        value = {key: entry["value"] for key, entry in configs.items()}
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
        return retried(lambda: self._offsets_once(name, which), _REMADE, _RemadeError)

    def _offsets_once(self, name: str, which: str) -> dict[Partition, int]:
        topic = self.get(name)
        offsets = self.offsets_of(name, range(topic.partitions), which)
        again = self.find(name)
        if again is None or again.topic_id != topic.topic_id:
            raise _RemadeError(
                f"Topic {name} is made again and again.", next_step="try again when it stays"
            )
        return {
            Partition(name, topic.topic_id, number): offset
            for number, offset in sorted(offsets.items())
        }

    def offsets_of(self, name: str, numbers: Iterable[int], which: str) -> dict[int, int]:
        """Return offsets by the topic's name; the caller knows that it is the one meant."""
        from kafka import IsolationLevel, OffsetSpec, TopicPartition

        spec = OffsetSpec.EARLIEST if which == "first" else OffsetSpec.LATEST
        specs = {TopicPartition(name, number): spec for number in numbers}
        offsets = self._ask(
            f"reading the offsets of {name}",
            lambda client: client.list_partition_offsets(
                specs, isolation_level=IsolationLevel.READ_COMMITTED
            ),
        )
        return {place.partition: answer.offset for place, answer in offsets.items()}

    def require_same(self, topic: Topic, numbers: Collection[int] = ()) -> None:
        """Raise NotFoundError unless the topic is, after all that was read so far, still the same.

        Every broker that leads one of the partitions is asked, not just any: a broker learns of a
        topic's end before it serves the next one of that name, but not before the others do.
        """
        # Taken out first: a leader that does not answer need not be one for long.
        asking = set(self._leaders.pop(topic.name, frozenset({_ANY})))
        asked_nodes: set[int] = set()
        leaders: set[int] = set()
        while asking:
            for node in asking:
                description = self._describe(topic.name, node)
                if description is None or description["topic_id"] != topic.topic_id:
                    raise NotFoundError(
                        f"Topic {topic.name} was deleted while it was read.",
                        next_step="join again to read the topic of that name",
                    )
                leaders |= {
                    part["leader_id"]
                    for part in description["partitions"]
                    if part["partition_index"] in numbers and part["leader_id"] != _ANY
                }
            asked_nodes |= asking
            asking = leaders - asked_nodes
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
        limit = Deadline(self._connection.timeout_seconds)
        if not poll(lambda: len(self._ids(name)) == 1, limit, pause=_WAIT_SECONDS):
            raise UnavailableError(
                f"The brokers do not agree on topic {name}.",
                next_step="look whether each of them runs, and at its log",
            )
        return self.find(name)

    def _ids(self, name: str) -> set[Any]:
        # The topic's id on each broker that answers; None where it is not there.
        ids = set()
        for node in self._brokers():
            with suppress(TransientError):  # it died; it learns all before it serves again
                description = self._describe(name, node)
                ids.add(None if description is None else description["topic_id"])
        return ids

    def _brokers(self) -> list[int]:
        answer = self._ask("asking for its brokers", lambda client: client.describe_cluster())
        return [one["broker_id"] for one in answer["brokers"] if not one.get("is_fenced")]

    def _describe(self, name: str, node: int = _ANY) -> JsonObject | None:
        from kafka.errors import NoError, UnknownTopicOrPartitionError, for_code
        from kafka.protocol.metadata import MetadataRequest

        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=name)],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
        )

        def ask(client: Any) -> JsonObject | None:
            manager = client._manager  # noqa: SLF001 - describe_topics cannot ask one broker

            async def send() -> Any:
                return await manager.send(request, node_id=None if node == _ANY else node)

            (description,) = manager.run(send).to_dict()["topics"]
            error = for_code(description["error_code"])
            if error is UnknownTopicOrPartitionError:
                return None
            if error is not NoError:
                raise error(name)
            return dict(description)

        # One broker in particular is asked once: a dead one does not answer the second time.
        asking = self._ask if node == _ANY else self._ask_once
        return asking(f"describing {name}", ask)

    def _ask(self, operation: str, question: Callable[[Any], Answer]) -> Answer:
        # A broker that has just gone is known for a while yet: another one may answer.
        return retried(lambda: self._ask_once(operation, question), BROKER, TransientError)

    def _ask_once(self, operation: str, question: Callable[[Any], Answer]) -> Answer:
        try:
            with translated(operation):
                return question(self._open())
        except TransientError:
            # The client may know only brokers that no longer exist.
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
    configs = {
        "retention.ms": None if retention is None else str(retention * 1000),
        "max.message.bytes": None if settings.record_bytes is None else str(settings.record_bytes),
        "cleanup.policy": settings.cleanup,
        "message.timestamp.type": settings.record_time,
    }
    return {key: value for key, value in configs.items() if value is not None}
