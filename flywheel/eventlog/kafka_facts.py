"""What a Kafka cluster says of itself and of this user's rights, for `flywheel doctor`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from flywheel.eventlog.kafka_connection import KafkaConnection
from flywheel.eventlog.kafka_errors import translated

__all__ = ["KafkaFacts", "inspect_kafka"]

# Ingest reads and looks, producers write.
_RIGHTS = frozenset({"DESCRIBE", "READ", "WRITE"})


@dataclass(frozen=True)
class KafkaFacts:
    """A cluster as one user sees it; ``partitions`` and ``missing_rights`` are by topic."""

    version: tuple[int, ...]
    brokers: int
    may_create_topics: bool
    partitions: Mapping[str, int]
    missing_rights: Mapping[str, Collection[str]]


def inspect_kafka(connection: KafkaConnection, topics: Collection[str]) -> KafkaFacts:
    """Ask a cluster for its version, the topics that exist, and what this user may do.

    Raises:
        UnavailableError: It does not answer.
        ConfigurationError: It refuses the user.
    """
    client = connection.admin()
    try:
        with translated("looking at the cluster"):
            cluster = client.describe_cluster()
            first = cluster["brokers"][0]["broker_id"]
            facts = [
                topic
                for topic in client.describe_topics()
                if topic["name"] in topics and not topic.get("error_code")
            ]
            version = client.get_broker_version_data(first).broker_version
    finally:
        client.close()
    return KafkaFacts(
        version=tuple(version),
        brokers=len(cluster["brokers"]),
        may_create_topics="CREATE" in (cluster["authorized_operations"] or ()),
        partitions={topic["name"]: len(topic["partitions"]) for topic in facts},
        missing_rights={topic["name"]: _missing(topic) for topic in facts if _missing(topic)},
    )


def _missing(topic: Mapping[str, Any]) -> list[str]:
    allowed = topic.get("authorized_operations")
    # A cluster too old to tell is taken at its word later.
    return [] if allowed is None else sorted(_RIGHTS - set(allowed))
