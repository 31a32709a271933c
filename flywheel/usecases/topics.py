"""`make_topics` and `compare_log_topics`: the declared topics beside those that the log has."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.eventlog.topics import TopicState
    from flywheel.wiring import Platform

__all__ = ["compare_log_topics", "make_topics"]


def make_topics(platform: "Platform") -> "list[TopicState]":
    """Make the topics that are missing; what differs is reported and left alone."""
    from flywheel.eventlog.topics import apply_topics

    return apply_topics(platform.log)


def compare_log_topics(platform: "Platform") -> "list[TopicState]":
    """Compare the log's topics with what is declared, and change nothing."""
    from flywheel.eventlog.topics import compare_topics

    return compare_topics(platform.log)
