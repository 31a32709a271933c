"""Positions of sources in a table's transactions: their names, and how a landing moves them."""

from collections.abc import Mapping

from flywheel.errors import ConcurrencyError
from flywheel.lake.handles import TableHandle

__all__ = ["holes_id", "moved_positions", "source_id"]


def source_id(topic_id: str, partition: int) -> str:
    """Name the Delta application whose transactions hold a partition's position."""
    return f"{topic_id}:{partition}"


def holes_id(topic_id: str, partition: int) -> str:
    """Name the application that counts a partition's offsets which hold no record by nature."""
    return f"{topic_id}:{partition}:holes"


def moved_positions(
    handle: TableHandle,
    offset_ranges: Mapping[tuple[str, int], tuple[int, int]],
    empty_offsets: Mapping[tuple[str, int], int],
) -> list[tuple[str, int]]:
    """Return the transactions of a commit that moves positions; hold the lake's lock.

    Args:
        handle: of the table.
        offset_ranges: per topic id and partition, the position read from and the next to read.
        empty_offsets: how many offsets in between hold no record, where there are such.

    Raises:
        ConcurrencyError: a position is not (any more) where it was read from;
            ``facts["positions"]`` tells where they are.
    """
    delta = handle.ready()
    at = {source: delta.transaction_version(source_id(*source)) or 0 for source in offset_ranges}
    moved = {
        source: at[source] for source, (start, _) in offset_ranges.items() if at[source] != start
    }
    if moved:
        raise ConcurrencyError(
            f"Another process moved the position of {handle.table.name} meanwhile.",
            next_step="read the position again and retry",
            positions=moved,
        )
    marks = [(source_id(*source), end) for source, (_, end) in offset_ranges.items()]
    for source, count in empty_offsets.items():
        before = delta.transaction_version(holes_id(*source)) or 0
        marks.append((holes_id(*source), before + count))
    return marks
