"""Gaps: offsets that the log lost for good, declared by an operator so that ingest can continue."""

from datetime import datetime

import pyarrow as pa

from flywheel.errors import RefusedError
from flywheel.ingest.arrow import table_of
from flywheel.lake.positions import source_id
from flywheel.lake.store import Lake
from flywheel.ports.event_log import EventLog

__all__ = ["declare_gap"]


def declare_gap(
    log: EventLog,
    lake: Lake,
    *,
    topic: str,
    partition: int,
    declared_by: str,
    reason: str,
    now: datetime,
) -> int:
    """Record that the offsets between the lake's position and the log's first are lost.

    Returns:
        How many offsets the gap has.

    Raises:
        RefusedError: nothing is missing there.
    """
    firsts = log.first_offsets(topic)
    first = next((one for one in firsts if one.number == partition), None)
    table = table_of(topic)
    at = 0 if first is None else lake.position(table, first.topic_id, partition) or 0
    if first is None or firsts[first] <= at:
        raise RefusedError(
            f"Nothing is missing in partition {partition} of {topic}.",
            next_step="declare a gap only where ingest stopped for one",
        )
    row = {
        "topic": [topic],
        "topic_id": [first.topic_id],
        "partition": [partition],
        "first_offset": [at],
        "next_offset": [firsts[first]],
        "declared_by": [declared_by],
        "reason": [reason],
        "declared_at": [now],
    }
    # The row first: cut off in between, the same call completes it.
    source = source_id(first.topic_id, partition)
    lake.append("declared_gaps", pa.table(row), once=(source, firsts[first]))
    offset_ranges = {(first.topic_id, partition): (at, firsts[first])}
    lake.land(table, pa.table({}), offset_ranges=offset_ranges)
    return firsts[first] - at
