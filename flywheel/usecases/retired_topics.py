"""Topics of former event logs: `topics_beside_the_log` finds their rows, `retire_topic` settles them."""

from typing import TYPE_CHECKING

from flywheel.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from flywheel.ingest.unknown_topics import UnknownTopic
    from flywheel.wiring import Platform

__all__ = ["log_topics", "retire_topic", "topics_beside_the_log"]

_EVENT = "topic.retired"


def log_topics(platform: "Platform") -> dict[str, str]:
    """Return the ids of the topics that the log has now, by name; none where there is no log."""
    from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC

    if platform.settings.event_log == "sqlite" and not (platform.home / "log.db").exists():
        return {}  # it would be made by looking at it
    topics = {}
    for name in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        try:
            topics[name] = platform.log.topic(name).topic_id
        except NotFoundError:
            continue  # nothing was produced yet
    return topics


def topics_beside_the_log(platform: "Platform") -> "list[UnknownTopic]":
    """Return the topics with rows in the lake that the log does not know, retired ones included."""
    from flywheel.ingest.unknown_topics import unknown_topics

    retired = {
        row.subject: int(row.details["rows"])
        for row in platform.state.audit.of()
        if row.event == _EVENT
    }
    return unknown_topics(platform.lake, set(log_topics(platform).values()), retired)


def retire_topic(platform: "Platform", topic_id: str, *, actor: str, reason: str) -> int:
    """Record that a topic was replaced on purpose, and return how many rows it left.

    Raises:
        RefusedError: the log still has it, or name or reason are missing.
        NotFoundError: no row of it is in the lake.
    """
    if not actor.strip() or not reason.strip():
        raise RefusedError("Retiring a topic needs a name and a reason.", next_step="give both")
    if topic_id in log_topics(platform).values():
        raise RefusedError(
            f"The log still has the topic {topic_id}.", next_step="retire only one that is gone"
        )
    topics = {topic.topic_id: topic for topic in topics_beside_the_log(platform)}
    if topic_id not in topics:
        raise NotFoundError(
            f"No row of a topic {topic_id} is in the lake.",
            next_step=f"choose one of: {', '.join(topics) or 'there is none to retire'}",
        )
    rows = topics[topic_id].rows
    platform.state.audit.append(_EVENT, topic_id, actor, {"rows": rows, "reason": reason.strip()})
    return rows
