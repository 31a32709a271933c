"""Compare a window with the reference and give a verdict with its cause.

Fewer events than the workload asks for give no verdict, never a score of 0.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache, partial

from flywheel.drift import sentence
from flywheel.drift.cause import find_cause
from flywheel.drift.compare import compare
from flywheel.drift.merged import merge, read_parts, read_profile
from flywheel.drift.profile import refresh_profiles
from flywheel.drift.quality import quality_shift
from flywheel.drift.report import ColumnDrift, DriftReport, QualityShift, Verdict
from flywheel.drift.window import Window
from flywheel.drift.window_length import waiting_time
from flywheel.drift.word_chance import read_texts
from flywheel.lake.store import Lake
from flywheel.quality.control_slice import ControlDay
from flywheel.workload.model import Workload

__all__ = ["measure_drift", "measure_windows"]


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
    sizes = old.events, new.events
    shift = None
    if quality is not None:
        shift = quality_shift(quality, allowed_drop=workload.drift.quality_drop)
    report = partial(DriftReport, workload.id, reference, current, *sizes, quality=shift)
    if min(sizes) < workload.drift.minimum_events:
        return report(verdict=None, reason=_too_few(workload, sizes, current))
    read = partial(read_texts, lake, workload, reference, current, days=days, sizes=sizes)
    columns = compare(workload, old, new, parts=parts, texts=cache(read))
    verdict = _verdict(columns, shift)
    drifted = tuple(column.column for column in columns if column.drifted)
    cause = find_cause(lake, workload, reference, current, (old, new), drifted) if drifted else None
    reason = sentence.describe(verdict, columns, cause, shift, new.events)
    return report(verdict=verdict, reason=reason, columns=columns, cause=cause)


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


def _too_few(workload: Workload, sizes: tuple[int, int], current: Window) -> str:
    least = workload.drift.minimum_events
    wait = "the reference is fixed: a verdict needs a longer one, after more windows"
    if sizes[1] < least:
        wait = waiting_time(sizes[1], len(current.days), least, until=current.end)
    return (
        f"No verdict: {sizes[0]} events in the reference and {sizes[1]} in the window, "
        f"at least {least} of each are needed; {wait}."
    )


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
