"""Compare a window with the reference and give a verdict with its cause.

Fewer events than the workload asks for give no verdict, never a score of 0.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache, partial

from flywheel.control_slice import ControlDay
from flywheel.drift import sentence
from flywheel.drift.cause import find_cause
from flywheel.drift.compare import compare
from flywheel.drift.merged import Profile, merge, read_parts, read_profile
from flywheel.drift.profile import refresh_profiles
from flywheel.drift.quality import quality_shift
from flywheel.drift.report import ColumnDrift, DriftReport, QualityShift, Verdict
from flywheel.drift.window import Window
from flywheel.drift.window_length import waiting_time
from flywheel.drift.word_chance import read_texts
from flywheel.lake.store import Lake
from flywheel.workload import Workload

__all__ = ["drifted_in_a_row", "measure_drift", "measure_windows"]


def measure_drift(
    lake: Lake,
    workload: Workload,
    *,
    reference: Window,
    current: Window,
    quality: Sequence[ControlDay] | None = None,
) -> DriftReport:
    """Compare a window of traffic with the reference and name the cause of a shift.

    The profiles of the windows are brought up to date first.

    Args:
        lake: where events and profiles lie.
        workload: whose thresholds count.
        reference: the production window fixed at promotion.
        current: the window to judge.
        quality: what was judged of the answers of each day since the promotion; None: unknown.
    """
    for window in (reference, current):
        refresh_profiles(lake, workload, window)
    days = len(current.days)
    parts = list(read_parts(lake, workload, reference, days=days).values())
    old, new = merge(*parts), read_profile(lake, workload, current)
    shift = None
    if quality is not None:
        shift = quality_shift(quality, allowed_drop=workload.drift.quality_drop)
    least = workload.drift.minimum_events
    if min(old.events, new.events) < least:
        return DriftReport(
            workload.id,
            reference,
            current,
            old.events,
            new.events,
            verdict=None,
            reason=(
                f"No verdict: {old.events} events in the reference and {new.events} in the window, "
                f"at least {least} of each are needed; {_wait(workload, new, current)}."
            ),
            quality=shift,
        )
    columns = compare(
        workload,
        old,
        new,
        parts=parts,
        texts=cache(
            partial(
                read_texts,
                lake,
                workload,
                reference,
                current,
                days=days,
                sizes=(old.events, new.events),
            )
        ),
    )
    verdict = _verdict(columns, shift)
    drifted = tuple(column.column for column in columns if column.drifted)
    cause = find_cause(lake, workload, reference, current, (old, new), drifted) if drifted else None
    return DriftReport(
        workload.id,
        reference,
        current,
        old.events,
        new.events,
        verdict=verdict,
        reason=sentence.describe(verdict, columns, cause, shift, new.events),
        columns=columns,
        cause=cause,
        quality=shift,
    )


def measure_windows(
    lake: Lake,
    workload: Workload,
    *,
    reference: Window,
    until: date,
    count: int | None = None,
    days: int | None = None,
    quality: Sequence[ControlDay] | None = None,
) -> list[DriftReport]:
    """Measure the last windows before a day, oldest first; by default as many as must drift.

    Args:
        lake: where events and profiles lie.
        workload: whose window length and number of windows count.
        reference: the production window fixed at promotion.
        until: first day after the last window.
        count: number of windows.
        days: their length, by default the workload's.
        quality: what was judged since the promotion, shown with the last window.
    """
    days = days or workload.drift.window_days
    number = count or workload.drift.windows
    last = Window(date.fromordinal(until.toordinal() - days), until)
    windows = [last.back(days * back) for back in range(number - 1, -1, -1)]
    return [
        measure_drift(
            lake,
            workload,
            reference=reference,
            current=window,
            quality=quality if window == last else None,
        )
        for window in windows
    ]


def _wait(workload: Workload, new: Profile, current: Window) -> str:
    least, days = workload.drift.minimum_events, len(current.days)
    if new.events >= least:
        return "the reference is fixed: a verdict needs a longer one, after more windows"
    return waiting_time(new.events, days, least, until=current.end)


def drifted_in_a_row(reports: Sequence[DriftReport]) -> int:
    """Count the last windows, without a gap, in which one and the same column drifted."""
    columns = set(reports[-1].drifted_columns) if reports else set()
    number = 0
    for report in reversed(reports):
        columns &= set(report.drifted_columns)
        if not columns:
            break
        number += 1
    return number


def _verdict(columns: Sequence[ColumnDrift], quality: QualityShift | None) -> Verdict:
    drifted = any(column.drifted and column.role != "service" for column in columns)
    fell = quality is not None and quality.fell is True
    if drifted and fell:
        return "both"
    if drifted:
        return "input_drift"
    if fell:
        return "quality_loss"
    above = any(column.strength >= 1 for column in columns)
    return "noise" if above else "none"
