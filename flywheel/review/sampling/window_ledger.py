"""The windows of a workload as the lake keeps them: read, close, and find one left half done.

A window is closed before its items are written: a call that was cut off in between is repaired by
the next one, which draws the same window again.
"""

import json
from datetime import datetime

import pyarrow as pa

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.lake.views import EVENT_FIGURES
from flywheel.review.sampling.windows import ReviewWindow, start_of_day

__all__ = [
    "batch_transaction",
    "close_window",
    "landed_through",
    "read_windows",
    "seen_positions",
    "unfinished_window",
]

_WINDOWS = """
SELECT batch_id, period, window_start AS start, window_end AS "end", frame_start, landed_through,
       budget, answers, reason, drawn_at, number, positions
FROM review_windows WHERE workload_id = $workload
QUALIFY row_number() OVER (PARTITION BY batch_id ORDER BY number) = 1
ORDER BY number, drawn_at
"""
# Batches of before windows were recorded: each was about the whole days until it was chosen.
_UNRECORDED = """
SELECT batch_id, any_value(period) AS period, min(chosen_at) AS drawn_at FROM review_items
WHERE workload_id = $workload AND slice NOT IN ('adjudication', 'directed', 'gold')
  AND batch_id NOT IN (SELECT batch_id FROM review_windows WHERE workload_id = $workload)
GROUP BY batch_id ORDER BY drawn_at
"""
_POSITIONS = f"""
SELECT topic_id || '/' || "partition" AS source, max(last_offset) AS last FROM {EVENT_FIGURES}
WHERE workload_id = $workload GROUP BY source ORDER BY source
"""  # noqa: S608 - a constant name
# Days with a landing after `now` are looked at row by row.
_LANDED_DAYS = f"""
SELECT max(last_landed_at) FILTER (last_landed_at <= $now) AS landed,
       list(DISTINCT "day") FILTER (first_landed_at <= $now AND last_landed_at > $now) AS days
FROM {EVENT_FIGURES} WHERE workload_id = $workload
"""  # noqa: S608 - (as above)
_LANDED = """
SELECT max(landed_at) AS landed FROM inferences
WHERE workload_id = $workload AND landed_at <= $now
"""


def seen_positions(lake: Lake, workload_id: str) -> dict[str, int]:
    """Return the last offset of the workload that has landed, by topic id and partition."""
    rows = lake.rows(_POSITIONS, {"workload": workload_id})
    return {row["source"]: row["last"] for row in rows}


def read_windows(lake: Lake, workload_id: str) -> list[ReviewWindow]:
    """Read every closed window, in the order in which they were closed."""
    parameters = {"workload": workload_id}
    unrecorded = [
        _unrecorded(row["batch_id"], row["period"], row["drawn_at"])
        for row in lake.rows(_UNRECORDED, parameters)
    ]
    return unrecorded + [_recorded(row) for row in lake.rows(_WINDOWS, parameters)]


def _recorded(row: Row) -> ReviewWindow:
    positions = row["positions"]
    return ReviewWindow(**row | {"positions": None if positions is None else json.loads(positions)})


def _unrecorded(batch_id: str, period: str, drawn_at: datetime) -> ReviewWindow:
    day = start_of_day(drawn_at)
    return ReviewWindow(
        batch_id=batch_id,
        period=period,
        start=day,
        end=day,
        frame_start=day,
        landed_through=drawn_at,
        budget=0,
        answers=0,
        reason="drawn before windows were recorded",
        drawn_at=drawn_at,
        recorded=False,
    )


def close_window(lake: Lake, workload_id: str, window: ReviewWindow) -> ReviewWindow:
    """Record a window once and return what is recorded, which may be another process's."""
    row = {
        "workload_id": workload_id,
        "batch_id": window.batch_id,
        "period": window.period,
        "window_start": window.start,
        "window_end": window.end,
        "frame_start": window.frame_start,
        "landed_through": window.landed_through,
        "budget": window.budget,
        "answers": window.answers,
        "reason": window.reason,
        "drawn_at": window.drawn_at,
        "number": window.number,
        "positions": None if window.positions is None else json.dumps(window.positions),
    }
    rows = pa.Table.from_pylist([row], schema=TABLES["review_windows"].schema)
    lake.append("review_windows", rows, once=(f"window:{workload_id}:{window.batch_id}", 1))
    recorded = read_windows(lake, workload_id)
    return next(one for one in recorded if one.batch_id == window.batch_id)


def unfinished_window(
    lake: Lake, workload_id: str, windows: list[ReviewWindow]
) -> ReviewWindow | None:
    """Return the newest window if it was closed and its items were never written."""
    drawn = [window for window in windows if window.budget]
    if not drawn:
        return None
    newest = drawn[-1]
    written = lake.transaction("review_items", batch_transaction(workload_id, newest.batch_id))
    return newest if written is None else None


def batch_transaction(workload_id: str, batch_id: str) -> str:
    """Name the application under which a batch's items are committed, once."""
    return f"review-batch:{workload_id}:{batch_id}"


def landed_through(lake: Lake, workload_id: str, now: datetime) -> datetime | None:
    """Return the newest landing of the workload until ``now``; what lands later is a later frame's."""
    span = {"workload": workload_id, "now": now}
    found = lake.rows(_LANDED_DAYS, span)[0]
    moments = [found["landed"]]
    if found["days"]:
        moments.append(lake.rows(_LANDED, span, event_days=found["days"])[0]["landed"])
    return max((moment for moment in moments if moment is not None), default=None)
