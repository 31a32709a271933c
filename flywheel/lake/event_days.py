"""`days_of_files`: which days of events a query must read, from what Delta's log says of its files."""

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

__all__ = ["days_of_files"]


def days_of_files(
    delta: DeltaTable,
    workload_id: str,
    since: date,
    folders: Collection[str],
    landed_after: Mapping[str, int] | None,
) -> set[date]:
    """Return the days of a workload whose files may hold what is asked for.

    Args:
        delta: the table of events.
        workload_id: whose events.
        since: every day from here on.
        folders: and the days of these partition folders.
        landed_after: and those with an event beyond these offsets, by ``topic/partition``, or of a
            partition that is not among them; None: no others.
    """
    days = set()
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        day = file["partition.day"]
        if day is None or file["partition.workload_id"] != workload_id:
            continue  # an event without a time lies in no window
        folder = PurePosixPath(unquote(file["path"])).parent.as_posix()
        if (
            day >= since
            or folder in folders
            or (landed_after is not None and _may_be_beyond(file, landed_after))
        ):
            days.add(day)
    return days


def _may_be_beyond(file: Mapping[str, Any], offsets: Mapping[str, int]) -> bool:
    # Statistics bound each column for itself. Where one is missing, the file is read.
    first, last = file.get("min.partition"), file.get("max.partition")
    topic, largest = file.get("min.topic_id"), file.get("max.offset")
    if first is None or last is None or largest is None or topic is None:
        return True
    if topic != file.get("max.topic_id"):
        return True
    seen = [offsets.get(f"{topic}/{number}") for number in range(first, last + 1)]
    return any(offset is None or largest > offset for offset in seen)
