"""Decide whether a cycle is opened: pure rules over numbers that others gathered.

Order: what forbids a cycle (one is open, or the cooldown lasts), then what asks for one. The
cooldown holds for the calendar as well, whose cycle comes when it is over. Every outcome carries the
numbers it rests on, also "no".
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from flywheel.io.records import JsonObject
from flywheel.quality.window_coverage import WindowCoverage
from flywheel.workload.model import Workload
from flywheel.workload.periods import period_name, period_start

__all__ = ["Trigger", "TriggerDecision", "TriggerSignals", "decide_trigger"]

Trigger = Literal["calendar", "drift", "quality", "volume"]


@dataclass(frozen=True)
class TriggerSignals:
    """What is known at an evaluation.

    None means not measured, which is neither "yes" nor zero. ``since`` is when the workload's
    traffic began; ``drifted_windows`` counts the last windows in a row in which the same column
    drifted, ``coverage`` says which of them hold only answers of the present release, the only ones
    that count; None before the first promotion. ``calendar_periods`` are the names of the periods that had their cycle by the
    calendar: a name does not move with the time zone. ``failed_calendar`` is the newest cycle
    where it was the present period's and released nothing. ``future_cycles`` are dated after now,
    by a clock that was ahead, and count for nothing else.
    """

    since: datetime | None = None
    open_cycle: str | None = None
    last_opened_at: datetime | None = None
    last_calendar_at: datetime | None = None
    drifted_windows: int | None = None
    drifted_columns: tuple[str, ...] = ()
    drift_reason: str = ""
    coverage: WindowCoverage | None = None
    quality_drop: float | None = None
    quality_fell: bool | None = None
    new_corrections: int = 0
    calendar_periods: tuple[str, ...] = ()
    failed_calendar: str | None = None
    future_cycles: tuple[str, ...] = ()


@dataclass(frozen=True)
class TriggerDecision:
    """Whether a cycle is opened, by what, why in words, and the numbers."""

    open: bool
    trigger: Trigger | None
    reason: str
    numbers: dict[str, Any]


def decide_trigger(workload: Workload, signals: TriggerSignals, now: datetime) -> TriggerDecision:
    """Decide whether a cycle is opened now."""
    numbers = _numbers(workload, signals, now)
    refusal = _refusal(workload, signals, now)
    if refusal is not None:
        return TriggerDecision(False, None, f"No: {refusal}.", numbers)
    for trigger, reason in (
        ("calendar", _calendar(workload, signals, now)),
        ("drift", _drift(workload, signals)),
        ("quality", _quality(workload, signals)),
        ("volume", _volume(workload, signals)),
    ):
        if reason is not None:
            return TriggerDecision(True, trigger, f"Yes, by {trigger}: {reason}.", numbers)  # type: ignore[arg-type]
    return TriggerDecision(False, None, f"No: {_nothing(workload, signals, now)}.", numbers)


def _refusal(workload: Workload, signals: TriggerSignals, now: datetime) -> str | None:
    if signals.open_cycle is not None:
        return f"cycle {signals.open_cycle} is open"
    if signals.last_opened_at is None:
        return None
    ends = signals.last_opened_at + timedelta(days=workload.trigger.cooldown_days)
    if now < ends:
        return (
            f"the cooldown of {workload.trigger.cooldown_days} days after the last cycle lasts "
            f"until {ends:%Y-%m-%d %H:%M} UTC"
        )
    return None


def _calendar(workload: Workload, signals: TriggerSignals, now: datetime) -> str | None:
    start = period_start(workload.cadence, now, workload.timezone)
    name = period_name(workload.cadence, now, workload.timezone)
    if signals.failed_calendar is not None and signals.new_corrections:
        # Without new corrections another try would train on the same rows.
        return (
            f"{signals.failed_calendar} of {name} released nothing, and "
            f"{signals.new_corrections} new corrections have come since"
        )
    earlier = signals.last_calendar_at or signals.since
    if earlier is None or earlier >= start or name in signals.calendar_periods:
        return None
    if signals.last_calendar_at is None:
        return f"{name} began and traffic has come since {earlier:%Y-%m-%d}, without a cycle"
    return f"{name} began, the last cycle of the calendar is of {earlier:%Y-%m-%d}"


def _drift(workload: Workload, signals: TriggerSignals) -> str | None:
    windows = signals.drifted_windows
    if windows is None or windows < workload.drift.windows:
        return None
    columns = ", ".join(signals.drifted_columns) or "a column"
    detail = f" ({signals.drift_reason.rstrip('.')})" if signals.drift_reason else ""
    return (
        f"{columns} drifted in {windows} windows in a row, {workload.drift.windows} count{detail}"
    )


def _quality(workload: Workload, signals: TriggerSignals) -> str | None:
    drop = signals.quality_drop
    if drop is None or not signals.quality_fell or drop < workload.drift.quality_drop:
        return None
    return (
        f"accuracy on the control slice fell by {drop:.3f}, {workload.drift.quality_drop:g} counts"
    )


def _volume(workload: Workload, signals: TriggerSignals) -> str | None:
    if signals.new_corrections < workload.trigger.corrections:
        return None
    return (
        f"{signals.new_corrections} new corrections since the last cycle, "
        f"{workload.trigger.corrections} count"
    )


def _nothing(workload: Workload, signals: TriggerSignals, now: datetime) -> str:
    period = period_name(workload.cadence, now, workload.timezone)
    if signals.since is None:
        parts = ["no traffic has come yet"]
    elif signals.failed_calendar is not None:
        parts = [f"{signals.failed_calendar} released nothing and no correction has come since"]
    elif signals.last_calendar_at is None:
        parts = [f"traffic began within {period}"]
    else:
        parts = [f"{period} has had its cycle"]
    if signals.drifted_windows is None:
        parts.append("drift was not measured")
    else:
        parts.append(f"{signals.drifted_windows} of {workload.drift.windows} windows drifted")
    if signals.coverage is not None and not signals.coverage.complete:
        parts.append(signals.coverage.sentence)
    if signals.quality_drop is None:
        parts.append("a change of quality could not be measured")
    else:
        sure = "" if signals.quality_fell else ", not beyond chance and threshold"
        parts.append(f"quality changed by {-signals.quality_drop:+.3f}{sure}")
    parts.append(f"{signals.new_corrections} of {workload.trigger.corrections} corrections")
    if signals.future_cycles:
        names = ", ".join(signals.future_cycles)
        parts.append(f"{names} dated in the future by a clock that was ahead, not counted")
    return "; ".join(parts)


def _numbers(workload: Workload, signals: TriggerSignals, now: datetime) -> JsonObject:
    return {
        "now": now.isoformat(),
        "period": period_name(workload.cadence, now, workload.timezone),
        "since": _iso(signals.since),
        "open_cycle": signals.open_cycle,
        "last_opened_at": _iso(signals.last_opened_at),
        "last_calendar_at": _iso(signals.last_calendar_at),
        "cooldown_days": workload.trigger.cooldown_days,
        "drifted_windows": signals.drifted_windows,
        "drifted_columns": list(signals.drifted_columns),
        "windows": workload.drift.windows,
        "windows_measured": None if signals.coverage is None else signals.coverage.measured,
        "windows_left_out": None if signals.coverage is None else signals.coverage.sentence,
        "quality_drop": signals.quality_drop,
        "quality_fell": signals.quality_fell,
        "quality_threshold": workload.drift.quality_drop,
        "new_corrections": signals.new_corrections,
        "corrections_threshold": workload.trigger.corrections,
        "failed_calendar": signals.failed_calendar,
        "future_cycles": list(signals.future_cycles),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
