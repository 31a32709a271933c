"""Gather the signals of a workload from lake and state, and evaluate the policy.

Writing the decision and opening the cycle are the caller's, in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flywheel.lake.store import Lake
from flywheel.quality.traffic_start import traffic_start
from flywheel.quality.window_coverage import WindowCoverage, first_whole_day
from flywheel.state import Cycle, State
from flywheel.state.champion_term import champion_term
from flywheel.state.cycle_order import last_changed
from flywheel.trigger.policy import TriggerDecision, TriggerSignals, decide_trigger
from flywheel.workload.model import Workload
from flywheel.workload.periods import period_name

__all__ = ["evaluate_trigger", "gather_signals", "trigger_key"]

# A verdict older than this many windows says nothing about now.
_STALE_WINDOWS = 2
# Cycles dated further ahead than clocks differ were opened by a clock that was wrong.
_CLOCK_SKEW = timedelta(days=1)
_RELEASED_NOTHING = frozenset({"stopped", "gated_fail", "inconclusive", "expired", "rolled_back"})


@dataclass(frozen=True)
class _Verdict:
    # A row of the drift reports, as far as a trigger looks at it.
    window_start: date
    window_end: date
    verdict: str | None
    drifted_columns: Sequence[str] | None
    reason: str
    quality_drop: float | None
    quality_fell: bool | None


def evaluate_trigger(
    lake: Lake, state: State, workload: Workload, *, now: datetime
) -> TriggerDecision:
    """Decide from what is recorded whether a cycle is opened now; nothing is written."""
    return decide_trigger(workload, gather_signals(lake, state, workload, now=now), now)


def gather_signals(
    lake: Lake, state: State, workload: Workload, *, now: datetime
) -> TriggerSignals:
    """Read the signals of a workload; what was not measured stays None."""
    every = state.cycles.of(workload.id)
    open_ = next((cycle.name for cycle in reversed(every) if cycle.is_open), None)
    cycles = [cycle for cycle in every if cycle.opened_at <= now + _CLOCK_SKEW]
    calendar = [cycle for cycle in cycles if cycle.trigger == "calendar"]
    watermark = max((cycle.watermark for cycle in cycles), default=None)
    since = champion_term(state, workload.id).answering_since
    reports = _reports_in_a_row(lake, workload, now, since)
    newest = reports[0] if reports else None
    measured = newest is not None and newest.verdict is not None
    drifted, columns = _drifted(reports)
    return TriggerSignals(
        since=traffic_start(lake, workload.id),
        open_cycle=open_,
        last_opened_at=max((cycle.opened_at for cycle in cycles), default=None),
        last_calendar_at=max((cycle.opened_at for cycle in calendar), default=None),
        drifted_windows=drifted if measured else None,
        drifted_columns=columns,
        drift_reason=newest.reason if newest is not None and drifted else "",
        coverage=_coverage(workload, newest, since, now),
        quality_drop=None if newest is None else newest.quality_drop,
        quality_fell=None if newest is None else newest.quality_fell,
        new_corrections=_new_corrections(lake, workload, watermark),
        calendar_periods=tuple(sorted({_period(cycle) for cycle in calendar})),
        failed_calendar=_failed_calendar(workload, cycles, now),
        future_cycles=tuple(cycle.name for cycle in every if cycle not in cycles),
    )


def trigger_key(state: State, workload: Workload, trigger: str | None, now: datetime) -> str | None:
    """Return what makes two evaluations the same trigger; None for the state's own rule.

    The calendar asks once for a period, and once more after each cycle of it that is over. One that
    released nothing may be tried again, and counts whatever came of that.
    """
    if trigger != "calendar":
        return None
    period = period_name(workload.cadence, now, workload.timezone)
    over = [
        cycle
        for cycle in state.cycles.of(workload.id)
        if cycle.trigger == "calendar" and _period(cycle) == period and not cycle.is_open
    ]
    return f"calendar:{period}:{len(over) + 1}" if over else f"calendar:{period}"


def _period(cycle: Cycle) -> str:
    # A cycle is named by its period in the time zone of the day on which it was opened.
    return cycle.name.rsplit("-", 1)[0]


def _failed_calendar(workload: Workload, cycles: list[Cycle], now: datetime) -> str | None:
    newest = last_changed(cycles)
    if newest is None or newest.trigger != "calendar":
        return None
    is_current_period = _period(newest) == period_name(workload.cadence, now, workload.timezone)
    return newest.name if is_current_period and newest.status in _RELEASED_NOTHING else None


def _new_corrections(lake: Lake, workload: Workload, watermark: datetime | None) -> int:
    # A check that confirms a label writes a new version with the same output, which is not a change.
    rows = lake.rows(
        """
        WITH before AS (
          SELECT correction_id, status, output FROM corrections
          WHERE workload_id = $workload AND accepted_at <= $watermark
          QUALIFY row_number() OVER (
            PARTITION BY correction_id ORDER BY version DESC, accepted_at DESC) = 1
        )
        SELECT count(*) AS n FROM latest_corrections AS c
        WHERE c.workload_id = $workload AND c.status = 'accepted' AND c.source <> 'seed'
          AND ($watermark IS NULL OR c.accepted_at > $watermark)
          AND NOT EXISTS (
            SELECT 1 FROM before
            WHERE before.correction_id = c.correction_id AND before.status = 'accepted'
              AND before.output IS NOT DISTINCT FROM c.output)
        """,
        {"workload": workload.id, "watermark": watermark},
    )
    return int(rows[0]["n"])


def _coverage(
    workload: Workload, newest: _Verdict | None, since: datetime | None, now: datetime
) -> WindowCoverage | None:
    if since is None:
        return None
    days = workload.drift.window_days
    if newest is not None:  # thin traffic is measured over longer windows
        days = (newest.window_end - newest.window_start).days
    return WindowCoverage.at(now, answering_since=since, needed=workload.drift.windows, days=days)


def _reports_in_a_row(
    lake: Lake, workload: Workload, now: datetime, since: datetime | None
) -> list[_Verdict]:
    # The newest verdict and those of the windows that touch it, newest first. Verdicts measured
    # before the present release took over compare with a reference that is none any more, and one
    # of a window that began before says in part what its predecessor answered.
    oldest = now.astimezone(UTC) - timedelta(days=_STALE_WINDOWS * workload.drift.window_days)
    rows = lake.rows(
        """
        SELECT window_start, window_end, verdict, drifted_columns, reason, quality_drop,
               quality_fell
        FROM drift_reports WHERE workload_id = $workload
          AND ($since IS NULL OR (measured_at >= $since AND window_start >= $first))
        ORDER BY window_end DESC, window_start DESC
        """,
        {
            "workload": workload.id,
            "since": since,
            "first": None if since is None else first_whole_day(since),
        },
    )
    chain: list[_Verdict] = []
    for verdict in (_Verdict(**row) for row in rows):
        if not chain and verdict.window_end < oldest.date():
            break
        if not chain or verdict.window_end == chain[-1].window_start:
            chain.append(verdict)
    return chain


def _drifted(reports: Sequence[_Verdict]) -> tuple[int, tuple[str, ...]]:
    # How many windows in a row, newest first, share a drifted column; and which columns those are.
    count = 0
    columns: set[str] = set(reports[0].drifted_columns or ()) if reports else set()
    for report in reports:
        shared = columns & set(report.drifted_columns or ())
        if not shared:
            break
        count, columns = count + 1, shared
    return count, tuple(sorted(columns)) if count else ()
