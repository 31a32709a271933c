"""The daily look: profile, measure the last windows, keep the verdicts in the lake."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import pyarrow as pa
from pydantic import TypeAdapter

from flywheel.drift.measure import measure_windows
from flywheel.drift.profile import refresh_profiles, stale_days
from flywheel.drift.reference import reference_windows
from flywheel.drift.report import DriftReport
from flywheel.drift.window import Window
from flywheel.drift.window_length import events_by_day, window_length
from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.lake.views import EVENT_FIGURES
from flywheel.quality.control_slice import ControlDay, control_days
from flywheel.quality.window_coverage import WindowCoverage, first_whole_day
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload

__all__ = [
    "observe_drift",
    "read_reports",
    "record_reports",
    "refresh_all_profiles",
    "unprofiled_days",
    "window_coverage",
]


def observe_drift(
    lake: Lake,
    workload: Workload,
    *,
    promoted_at: datetime | None,
    now: datetime,
    answering_since: datetime | None = None,
    release: str | None = None,
) -> list[DriftReport]:
    """Measure the last windows before ``now`` and keep the verdicts; oldest first.

    Thin traffic is judged over longer windows, and compared with a longer reference, until they
    hold the events that a verdict needs. Windows that hold answers of an earlier release are not
    measured (see `window_coverage`). Before the first promotion there is no reference and the
    list is empty. In a home that may only be read nothing is kept.

    Args:
        lake: events, profiles and corrections.
        workload: whose thresholds count.
        promoted_at: when the present champion was promoted, which fixes the reference.
        now: the windows end at the last midnight before it.
        answering_since: when it last took over, later than the promotion after a rollback.
        release: whose quality is watched: the champion; None for whatever answered.
    """
    refresh_all_profiles(lake, workload, now)
    if promoted_at is None:
        return []
    until = now.astimezone(UTC).date()
    since = first_whole_day(answering_since or promoted_at)
    if (until - since).days < workload.drift.window_days:
        return []

    def references(days: int) -> Window:
        return reference_windows(
            workload, promoted_at=promoted_at, until=now, window_days=days
        ).inputs

    events = events_by_day(lake, workload, Window(date.min, until))
    days = window_length(workload, events, references, until=until, since=since)
    coverage = WindowCoverage(workload.drift.windows, days, since, until)
    reports = measure_windows(
        lake,
        workload,
        reference=references(days),
        until=until,
        count=coverage.measured,
        days=days,
        quality=_judged_days(lake, workload, promoted_at, now, release),
    )
    if lake.can_write("drift_reports"):
        record_reports(lake, reports, now=now)
    return reports


def window_coverage(
    workload: Workload,
    reports: Sequence[DriftReport],
    *,
    answering_since: datetime | None,
    now: datetime,
) -> WindowCoverage | None:
    """Say which windows `observe_drift` left out; None before the first promotion."""
    if answering_since is None:
        return None
    days = len(reports[-1].current.days) if reports else workload.drift.window_days
    return WindowCoverage.at(
        now, answering_since=answering_since, needed=workload.drift.windows, days=days
    )


def refresh_all_profiles(lake: Lake, workload: Workload, now: datetime) -> int:
    """Bring the profiles of every whole day before ``now`` up to date; return how many changed."""
    complete_days = _whole_days(lake, workload, now)
    return len(refresh_profiles(lake, workload, complete_days)) if complete_days else 0


def unprofiled_days(lake: Lake, workload: Workload, now: datetime) -> dict[date, int]:
    """Return the landed rows of the whole days that are not profiled as they are."""
    complete_days = _whole_days(lake, workload, now)
    return stale_days(lake, workload, complete_days) if complete_days else {}


def record_reports(lake: Lake, reports: Sequence[DriftReport], *, now: datetime) -> None:
    """Keep reports in ``drift_reports``: one for each end, the last measured.

    A window measured again, perhaps in another length, replaces its row.
    """
    for report in reports:
        row = _row(report, now)
        where = {key: row[key] for key in ("workload_id", "window_end")}
        lake.replace("drift_reports", pa.Table.from_pylist([row]), where=where)


def read_reports(lake: Lake, workload: Workload, *, limit: int = 26) -> list[DriftReport]:
    """Return the last kept reports, oldest first."""
    rows = lake.rows(
        """
        SELECT report FROM drift_reports WHERE workload_id = $workload
        ORDER BY window_end DESC, window_start DESC LIMIT $limit
        """,
        {"workload": workload.id, "limit": limit},
    )
    adapter = TypeAdapter(DriftReport)
    return [adapter.validate_json(row["report"]) for row in reversed(rows)]


def _whole_days(lake: Lake, workload: Workload, now: datetime) -> Window | None:
    rows = lake.rows(
        f"SELECT min(day) AS first FROM {EVENT_FIGURES} WHERE workload_id = $workload",  # noqa: S608
        {"workload": workload.id},
    )
    first, end = rows[0]["first"], now.astimezone(UTC).date()
    return None if first is None or first >= end else Window(first, end)


def _row(report: DriftReport, now: datetime) -> Row:
    quality = report.quality
    return {
        "workload_id": report.workload_id,
        "window_start": report.current.start,
        "window_end": report.current.end,
        "reference_start": report.reference.start,
        "reference_end": report.reference.end,
        "verdict": report.verdict,
        "drifted_columns": list(report.drifted_columns),
        "quality_drop": quality.drop if quality else None,
        "quality_fell": quality.fell if quality else None,
        "reason": report.reason,
        "report": canonical_json(report.to_dict()),
        "measured_at": now,
    }


def _judged_days(
    lake: Lake, workload: Workload, promoted_at: datetime, now: datetime, release: str | None
) -> tuple[ControlDay, ...]:
    # Every judged answer of the release, from the first day that it answered alone.
    start, end = _midnight(first_whole_day(promoted_at)), _midnight(now.astimezone(UTC).date())
    return control_days(lake, workload, start, end, release=release) if start < end else ()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
