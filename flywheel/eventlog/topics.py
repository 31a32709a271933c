"""The topics that the project declares, and how a log's own compare with them.

A missing topic is created. A difference on an existing topic is reported, never changed: more
partitions move keys, a shorter retention deletes, and either may have been someone's intention.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flywheel.errors import NotFoundError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, TOPIC_PARTITIONS
from flywheel.ports.event_log import EventLog, TopicSettings

__all__ = ["DECLARED", "TopicState", "apply_topics", "compare_topics"]

DECLARED: Mapping[str, TopicSettings] = {
    INFERENCES_TOPIC: TopicSettings(TOPIC_PARTITIONS),
    FEEDBACK_TOPIC: TopicSettings(TOPIC_PARTITIONS),
}


@dataclass(frozen=True)
class TopicState:
    """One declared topic; ``found`` is None where the log does not have it."""

    name: str
    declared: TopicSettings
    found: TopicSettings | None
    topic_id: str | None
    made: bool = False

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Declared and found value of each setting that is not as declared."""
        if self.found is None:
            return {}
        declared, actual = asdict(self.declared), asdict(self.found)
        return {
            name: (declared[name], value)
            for name, value in actual.items()
            if value is not None and value != declared[name]
        }


def apply_topics(
    log: EventLog, declared: Mapping[str, TopicSettings] = DECLARED
) -> list[TopicState]:
    """Make the topics that are missing, and compare all of them with what is declared."""
    missing = {state.name for state in compare_topics(log, declared) if state.found is None}
    for name in missing:
        expected = declared[name]
        limits = {
            key: value
            for key in ("retention_seconds", "record_bytes")
            if (value := getattr(expected, key)) is not None
        }
        log.create_topic(name, partitions=expected.partitions, **limits)
    return [
        TopicState(s.name, s.declared, s.found, s.topic_id, made=s.name in missing)
        for s in compare_topics(log, declared)
    ]


def compare_topics(
    log: EventLog, declared: Mapping[str, TopicSettings] = DECLARED
) -> list[TopicState]:
    """Compare the log's topics with what is declared, and change nothing."""
    states = []
    for name, expected in declared.items():
        try:
            topic_id, actual = log.topic(name).topic_id, log.topic_settings(name)
        except NotFoundError:
            states.append(TopicState(name, expected, None, None))
        else:
            states.append(TopicState(name, expected, actual, topic_id))
    return states
