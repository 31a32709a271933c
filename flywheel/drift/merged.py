"""Read profiles back: the sum of a window's days, and the same sum by parts of the window."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flywheel.drift.window import Window
from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.workload.model import Workload

__all__ = ["Histogram", "Profile", "merge", "read_parts", "read_profile"]


@dataclass(frozen=True)
class Histogram:
    """Counts of one column: by bin, by value or by word."""

    kind: str
    counts: Mapping[str, int]

    @property
    def size(self) -> int:
        """Sum of all counts."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Profile:
    """All histograms of a set of events; ``texts`` is the number whose words were counted."""

    events: int = 0
    texts: int = 0
    columns: Mapping[str, Histogram] = field(default_factory=dict)


def read_profile(lake: Lake, workload: Workload, window: Window) -> Profile:
    """Return the merged profile of a window."""
    return read_parts(lake, workload, window, days=len(window.days)).get(0, Profile())


def read_parts(lake: Lake, workload: Workload, window: Window, *, days: int) -> dict[int, Profile]:
    """Return the merged profiles of each run of ``days`` days within a window, by number."""
    rows = lake.rows(
        """
        SELECT CAST(floor((day - $start) / $days) AS INTEGER) AS part, "column", kind, key,
               CAST(sum(count) AS BIGINT) AS count
        FROM profiles WHERE workload_id = $workload AND day >= $start AND day < $end
        GROUP BY ALL ORDER BY part, "column", kind, count DESC, key
        """,
        {"workload": workload.id, "start": window.start, "end": window.end, "days": days},
    )
    parts: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        parts.setdefault(row["part"], []).append(row)
    return {part: _profile(table) for part, table in parts.items()}


def merge(*profiles: Profile) -> Profile:
    """Add the counts of profiles of disjoint sets of events."""
    columns: dict[str, Histogram] = {}
    for profile in profiles:
        for name, histogram in profile.columns.items():
            counts = dict(columns[name].counts) if name in columns else {}
            for key, count in histogram.counts.items():
                counts[key] = counts.get(key, 0) + count
            columns[name] = Histogram(histogram.kind, counts)
    return Profile(
        sum(profile.events for profile in profiles),
        sum(profile.texts for profile in profiles),
        columns,
    )


def _profile(rows: list[Row]) -> Profile:
    totals = {row["column"]: row["count"] for row in rows if row["kind"] == "total"}
    columns: dict[str, tuple[str, dict[str, int]]] = {}
    for row in rows:
        if row["kind"] != "total":
            columns.setdefault(row["column"], (row["kind"], {}))[1][row["key"]] = row["count"]
    return Profile(
        events=totals.get("events", 0),
        texts=totals.get("vocabulary", 0),
        columns={name: Histogram(kind, counts) for name, (kind, counts) in columns.items()},
    )
