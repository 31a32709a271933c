"""`window_length`: how many days a window needs so that its events allow a verdict.

A thin workload is judged over longer windows, whole multiples of its own, instead of never.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from flywheel.drift.window import Window
from flywheel.lake.store import Lake
from flywheel.workload.model import Workload

__all__ = [
    "LONGEST",
    "DriftOutlook",
    "drift_outlook",
    "events_by_day",
    "waiting_time",
    "window_length",
]

# In windows of the workload: a verdict about more than two months says nothing about now.
LONGEST = 8


@dataclass(frozen=True)
class DriftOutlook:
    """Whether a workload's traffic allows a verdict on drift at all, and how long a window is."""

    holds: bool
    sentence: str


def drift_outlook(workload: Workload, events: int, days: int) -> DriftOutlook:
    """Say how long a window must be at the pace of ``events`` in ``days``.

    ``holds`` is False where even the longest window holds too few events.
    """
    rules = workload.drift
    longest = LONGEST * rules.window_days
    pace = f"{events / days:.2g} events a day"
    if events == 0:
        return DriftOutlook(True, f"no event in {days} days, so that drift cannot be judged")
    step = ceil(rules.minimum_events * days / events / rules.window_days)
    needed = step * rules.window_days
    if needed <= longest:
        row = rules.windows * needed
        return DriftOutlook(
            True, f"{pace}: windows of {needed} days; {rules.windows} in a row take {row} days"
        )
    return DriftOutlook(
        False,
        f"{pace}: the {rules.minimum_events} events of drift.minimum_events take {needed} days, "
        f"and the longest window has {longest}: lower drift.minimum_events or raise "
        "drift.window_days",
    )


def events_by_day(lake: Lake, workload: Workload, window: Window) -> dict[date, int]:
    """Return the number of profiled events of each day of a window."""
    rows = lake.rows(
        """
        SELECT day, CAST(sum(count) AS BIGINT) AS events FROM profiles
        WHERE workload_id = $workload AND day >= $start AND day < $end AND "column" = 'events'
        GROUP BY day
        """,
        {"workload": workload.id, "start": window.start, "end": window.end},
    )
    return {row["day"]: row["events"] for row in rows}


def window_length(
    workload: Workload,
    events: Mapping[date, int],
    reference: Callable[[int], Window],
    *,
    until: date,
    since: date,
) -> int:
    """Return the days of the shortest window before ``until`` that allows a verdict.

    Args:
        workload: its ``window_days`` and ``minimum_events``.
        events: by day.
        reference: what a window of so many days is compared with.
        until: first day after the window.
        since: first day that a window may hold.

    Returns:
        A multiple of ``window_days``; where neither holds enough, the longest that fits.
    """
    step = workload.drift.window_days
    most = max(1, min(LONGEST, (until - since).days // step))

    def count(window: Window) -> int:
        return sum(n for day, n in events.items() if window.start <= day < window.end)

    for days in range(step, most * step + 1, step):
        current = Window(until - timedelta(days=days), until)
        if min(count(current), count(reference(days))) >= workload.drift.minimum_events:
            return days
    return most * step


def waiting_time(events: int, days: int, minimum: int, *, until: date) -> str:
    """Say when a window that is too thin would hold enough events at its present pace."""
    if events == 0:
        return "no event has come, so that no verdict can be expected"
    needed = ceil(minimum * days / events)
    on = until + timedelta(days=needed - days)
    return (
        f"at {events / days:.2g} events a day, {minimum} take {needed} days: "
        f"a verdict is possible from {on} on"
    )
