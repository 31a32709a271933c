"""Gather the signals of a workload from lake and state, and evaluate the policy.

Writing the decision and opening the cycle are the caller's, in one transaction.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from flywheel.lake.store import Lake
from flywheel.state import State
from flywheel.traffic_start import traffic_start
from flywheel.trigger.policy import TriggerDecision, TriggerSignals, decide_trigger
from flywheel.workload import Workload

__all__ = ["evaluate_trigger", "gather_signals"]

# A verdict older than this many windows says nothing about now.
_STALE_WINDOWS = 2


def evaluate_trigger(
    lake: Lake, state: State, workload: Workload, *, now: datetime
) -> TriggerDecision:
    """Decide from what is recorded whether a cycle is opened now; nothing is written."""
    return decide_trigger(workload, gather_signals(lake, state, workload, now=now), now)


def gather_signals(
    lake: Lake, state: State, workload: Workload, *, now: datetime
) -> TriggerSignals:
    """Read the signals of a workload; what was not measured stays None."""
    cycles = state.cycles(workload.id)
    open_ = next((cycle.name for cycle in reversed(cycles) if cycle.is_open), None)
    calendar = [cycle.opened_at for cycle in cycles if cycle.trigger == "calendar"]
    watermark = max((cycle.watermark for cycle in cycles), default=None)
    promoted = [r.promoted_at for r in state.releases(workload.id) if r.promoted_at is not None]
    reports = _reports_in_a_row(lake, workload, now, max(promoted, default=None))
    newest: dict[str, Any] = reports[0] if reports else {}
    measured = bool(newest) and newest["verdict"] is not None
    drifted, columns = _drifted(reports)
    return TriggerSignals(
        since=traffic_start(lake, workload.id),
        open_cycle=open_,
        last_opened_at=max((cycle.opened_at for cycle in cycles), default=None),
        last_calendar_at=max(calendar, default=None),
        drifted_windows=drifted if measured else None,
        drifted_columns=columns,
        drift_reason=newest["reason"] if drifted else "",
        quality_drop=newest.get("quality_drop"),
        quality_fell=newest.get("quality_fell"),
        new_corrections=_new_corrections(lake, workload, watermark),
    )


def _new_corrections(lake: Lake, workload: Workload, watermark: datetime | None) -> int:
    rows = lake.rows(
        """
        SELECT count(*) AS n FROM latest_corrections
        WHERE workload_id = $workload AND status = 'accepted' AND source <> 'seed'
          AND ($watermark IS NULL OR accepted_at > $watermark)
        """,
        {"workload": workload.id, "watermark": watermark},
    )
    return int(rows[0]["n"])


def _reports_in_a_row(
    lake: Lake, workload: Workload, now: datetime, promoted_at: datetime | None
) -> list[dict[str, Any]]:
    # The newest verdict and those of the windows that touch it, newest first. Verdicts measured
    # before the last promotion compare with a reference that is none any more.
    oldest = now.astimezone(UTC) - timedelta(days=_STALE_WINDOWS * workload.drift.window_days)
    rows = lake.rows(
        """
        SELECT window_start, window_end, verdict, drifted_columns, reason, quality_drop,
               quality_fell
        FROM drift_reports WHERE workload_id = $workload
          AND ($promoted IS NULL OR measured_at >= $promoted)
        ORDER BY window_end DESC, window_start DESC
        """,
        {"workload": workload.id, "promoted": promoted_at},
    )
    chain: list[dict[str, Any]] = []
    for row in rows:
        if not chain and row["window_end"] < oldest.date():
            break
        if not chain or row["window_end"] == chain[-1]["window_start"]:
            chain.append(row)
    return chain


def _drifted(reports: list[dict[str, Any]]) -> tuple[int, tuple[str, ...]]:
    # How many windows in a row, newest first, share a drifted column; and which columns those are.
    count = 0
    columns: set[str] = set(reports[0]["drifted_columns"] or ()) if reports else set()
    for report in reports:
        shared = columns & set(report["drifted_columns"] or ())
        if not shared:
            break
        count, columns = count + 1, shared
    return count, tuple(sorted(columns)) if count else ()
