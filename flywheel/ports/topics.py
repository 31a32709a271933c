"""`ensure_topic`: a topic of the event log, made where it is missing."""

from flywheel.errors import NotFoundError
from flywheel.events import TOPIC_PARTITIONS
from flywheel.ports.event_log import EventLog, Topic

__all__ = ["ensure_topic"]


def ensure_topic(log: EventLog, name: str, *, partitions: int = TOPIC_PARTITIONS) -> Topic:
    """Return a topic, made where it is missing; one that is there stays as it is.

    It is looked for first: who reads or writes a topic need not be allowed to create one.

    Args:
        log: where to.
        name: of the topic.
        partitions: of a new one.
    """
    try:
        return log.topic(name)
    except NotFoundError:
        return log.create_topic(name, partitions=partitions)
