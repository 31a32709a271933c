"""The error that every event log raises where records are gone that were not read yet."""

from flywheel.errors import LogGapError
from flywheel.ports.event_log import Partition

__all__ = ["gap_error"]


def gap_error(partition: Partition, position: int, first: int, end: int) -> LogGapError:
    """Say what is missing, and what an operator can do about it.

    Args:
        partition: where it is missing.
        position: offset that is next to be read.
        first: oldest offset that the log still holds.
        end: offset that the next record will get.
    """
    contents = (
        f"holds offsets {first} to {end - 1}" if end > first else f"is empty, at offset {end}"
    )
    if position < first:
        missing = f"offsets {position} to {first - 1} are gone before they were read"
        next_step = (
            "find out whether they can be had elsewhere; if they are lost for good, declare it: "
            f"`flywheel dlq gap {partition.topic} {partition.number} --as NAME --reason WHY`"
        )
    else:
        missing = f"{position} is next to be read, which it has not reached"
        next_step = (
            "the log was cut off or restored from an older copy: what it gets now would be taken "
            "for what was read already. Recreate the topic (`kafka-topics --delete`, then "
            "`flywheel topics apply`), and it is read from its start under its new id"
        )
    return LogGapError(
        f"Partition {partition.number} of {partition.topic} {contents}, but {missing}.",
        next_step=next_step,
        topic=partition.topic,
        topic_id=partition.topic_id,
        partition=partition.number,
        position=position,
        first_offset=first,
        end_offset=end,
    )
