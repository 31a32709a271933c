"""Which answers the next batch is about, and how many judgments it may cost: `plan_window`.

Windows follow each other without a gap. Each lies within one period of the cadence, whose budget it
is charged to. Every answer belongs to the frame of exactly one of them, from which the control slice
is drawn: it is the first window that ends after the answer's event time and was drawn after it
landed. What had landed is read off positions in the event log, which no clock moves. Reading and
writing windows are left to `window_ledger`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flywheel.workload.model import Workload
from flywheel.workload.periods import next_period_start, period_name, period_start

__all__ = [
    "Frontier",
    "ReviewWindow",
    "WindowPlan",
    "batch_name",
    "disowning_window",
    "frontier_of",
    "last_positions",
    "next_number",
    "paced_budget",
    "plan_window",
    "previous_period_start",
    "start_of_day",
    "valid_windows",
]

# A window may get this many times the even share of its length: what a quiet month left over is
# spent on the rest of the period, and never on its last day.
_CATCH_UP = 2
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class ReviewWindow:
    """A window that is closed: its answers are in no later frame.

    Args:
        batch_id: name of its batch.
        period: whose budget it is charged to.
        start: event time from which uncertain and novel answers are sought.
        end: event time before which all its answers lie.
        frame_start: event time from which the control slice is drawn; what landed late is older.
        landed_through: newest landing that it saw; None where nothing had landed.
        positions: last offset that it saw, by topic id and partition; None in windows of before
            they were recorded, which go by ``landed_through``.
        budget: judgments that it could ask for.
        answers: size of its frame.
        reason: why nothing was asked, empty where something could be.
        drawn_at: when it was closed.
        number: counts the windows of a workload in the order in which they were closed.
        recorded: False for a batch of before windows were recorded: its start is not known.
    """

    batch_id: str
    period: str
    start: datetime
    end: datetime
    frame_start: datetime
    landed_through: datetime | None
    budget: int
    answers: int
    reason: str
    drawn_at: datetime
    number: int = 0
    recorded: bool = True
    positions: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Frontier:
    """How far a workload is sampled: by event time, by landing, and since when."""

    end: datetime
    landed_through: datetime | None
    begun: datetime
    positions: Mapping[str, int] | None = None


@dataclass(frozen=True)
class WindowPlan:
    """What happens to the next window.

    ``budget`` 0 with ``waits`` leaves it open, so that it grows until it can be paid for; without
    ``waits`` it is closed unasked. ``reason`` says why nothing is asked.
    """

    start: datetime
    end: datetime
    period: str
    budget: int
    waits: bool = False
    reason: str = ""


def valid_windows(windows: Sequence[ReviewWindow], now: datetime) -> list[ReviewWindow]:
    """Leave out what was drawn by a clock that was ahead: later than now, or than a later window.

    Args:
        windows: in the order in which they were closed.
        now: the present moment.
    """
    valid: list[ReviewWindow] = []
    for window in windows:
        while valid and valid[-1].drawn_at > window.drawn_at:
            valid.pop()
        valid.append(window)
    return [window for window in valid if window.drawn_at <= now]


def disowning_window(
    windows: Sequence[ReviewWindow], frontier: Frontier, plan: WindowPlan, now: datetime
) -> ReviewWindow | None:
    """Return an empty window that makes those of a clock that was ahead invalid for good.

    None where there are none. A window that waits closes nothing, and without this the ones that
    were drawn "later than now" would count again as soon as the clock has come that far.
    """
    if all(window.drawn_at <= now for window in windows):
        return None
    return ReviewWindow(
        batch_id=f"{plan.period}-disowns-{len(windows)}",
        period=plan.period,
        start=frontier.end,
        end=frontier.end,
        frame_start=frontier.end,
        landed_through=frontier.landed_through,
        positions=frontier.positions,
        budget=0,
        answers=0,
        reason="the platform's clock was ahead when a window was drawn",
        drawn_at=now,
        number=next_number(windows),
    )


def next_number(windows: Sequence[ReviewWindow]) -> int:
    """Return the number of the next window to be closed."""
    return 1 + max((window.number for window in windows), default=0)


def frontier_of(windows: Sequence[ReviewWindow], now: datetime) -> Frontier | None:
    """Return how far the valid windows reach; None where there is none."""
    drawn = valid_windows(windows, now)
    if not drawn:
        return None
    end = max(window.end for window in drawn)
    # A window of the past, pushed by hand, took none of what had landed late by then.
    reached = [window for window in drawn if window.end == end]
    landed = [w.landed_through for w in reached if w.landed_through is not None]
    return Frontier(
        end=end,
        landed_through=max(landed, default=None),
        begun=min(window.start for window in drawn),
        # Each window saw all that the ones drawn before it did.
        positions=reached[-1].positions,
    )


def last_positions(windows: Sequence[ReviewWindow]) -> Mapping[str, int] | None:
    """Return the positions that the newest window saw, also where its clock was wrong.

    Where no window is valid, by a clock that is far behind, they tell what no window has seen.
    """
    return windows[-1].positions if windows else None


def plan_window(
    workload: Workload,
    start: datetime,
    *,
    begun: datetime,
    until: datetime,
    left: Callable[[str], int],
) -> WindowPlan | None:
    """Decide about the window that begins at ``start``; None where it holds no whole day yet.

    Args:
        workload: its cadence, time zone and budget decide.
        start: end of the window before.
        begun: start of the workload's first window; a period is paced from there on.
        until: moment before which days are whole.
        left: judgments that a period, by name, can still ask for.
    """
    if start >= until:
        return None
    period = period_name(workload.cadence, start, workload.timezone)
    ends = next_period_start(workload.cadence, start, workload.timezone)
    end = min(until, ends)
    if end <= previous_period_start(workload, until):
        reason = f"{period} ended more than a period ago"
        return WindowPlan(start, end, period, 0, reason=reason)
    remaining = left(period)
    budget = paced_budget(workload, remaining, start, end, begun=begun)
    if budget:
        return WindowPlan(start, end, period, budget)
    spent = f"the budget of {period}, {workload.review.budget} judgments, is spent"
    if end == ends:
        return WindowPlan(start, end, period, 0, reason=spent)
    if remaining:
        reason = f"the pace of {period} does not pay for another judgment yet"
    else:
        reason = f"{spent}: the next batch is drawn after {ends:%Y-%m-%d %H:%M} UTC"
    return WindowPlan(start, end, period, 0, waits=True, reason=reason)


def paced_budget(
    workload: Workload, left: int, start: datetime, end: datetime, *, begun: datetime
) -> int:
    """Return a window's even part of what its period has left, at most twice that of its length.

    The last window of a period may always spend one judgment, if one is left.
    """
    first = period_start(workload.cadence, start, workload.timezone)
    ends = next_period_start(workload.cadence, start, workload.timezone)
    part = (end - start) / (ends - start) if end < ends else 1.0
    most = (
        _CATCH_UP
        * workload.review.budget
        * ((end - start) / (ends - max(first, min(begun, start))))
    )
    return min(left, int(min(left * part, max(1.0, most))))


def previous_period_start(workload: Workload, until: datetime) -> datetime:
    """Return the start of the period before the one in which the last whole day lies."""
    current_start = period_start(workload.cadence, until - _MOMENT, workload.timezone)
    return period_start(workload.cadence, current_start - _MOMENT, workload.timezone)


def start_of_day(moment: datetime) -> datetime:
    """Return the UTC midnight before ``moment``."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def batch_name(workload: Workload, start: datetime, used_names: Sequence[str] = ()) -> str:
    """Name the batch of the window that starts then, its period first.

    ``used_names`` are names of other windows; one with the same start gets a number behind it.
    """
    moment = start.astimezone(UTC)
    day = f"{moment:%Y%m%d}" if moment == start_of_day(moment) else f"{moment:%Y%m%dT%H%M}"
    name = f"{period_name(workload.cadence, start, workload.timezone)}-{day}"
    number, free = 1, name
    while free in used_names:
        number += 1
        free = f"{name}.{number}"
    return free
