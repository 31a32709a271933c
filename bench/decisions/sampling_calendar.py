"""Two years of sampling in a random world: `play` closes windows by the rules and counts mistakes.

No text and no lake: what is played is `flywheel.review.sampling.windows`, and for comparison the rule of
before. The worlds are made by `sampling_world`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.decisions.sampling_world import BEGIN, DAYS, World
from flywheel.review.sampling.windows import (
    Frontier,
    ReviewWindow,
    disowning_window,
    frontier_of,
    last_positions,
    next_number,
    plan_window,
    previous_period_start,
    start_of_day,
)
from flywheel.workload.model import Workload
from flywheel.workload.periods import next_period_start, period_name, period_start

__all__ = ["Played", "Rule", "play"]

Rule = Literal["windows", "before"]
_TICKS_THAT_COUNT = 20
_LOG = "log/0"  # one partition


@dataclass
class Played:
    """What the rules did: judgments by period, and where they failed."""

    spent: Counter[str] = field(default_factory=Counter)
    overspent: int = 0
    dry_periods: list[str] = field(default_factory=list)
    foreign_periods: list[str] = field(default_factory=list)
    frames: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    unseen: int = 0
    windows: list[ReviewWindow] = field(default_factory=list)


def play(world: World, rule: Rule = "windows", *, seed: int = 0) -> Played:
    """Play two years by a rule and return what became of budget, windows and answers."""
    player = _WindowsPlayer(world, seed) if rule == "windows" else _BeforePlayer(world, seed)
    for day in np.flatnonzero(world.ticks):
        player.tick(int(day))
    return player.result()


@dataclass
class _Player:
    world: World
    seed: int

    def __post_init__(self) -> None:
        self.played = Played(frames=np.zeros(len(self.world.event), dtype=np.int64))
        self.rng = np.random.default_rng(self.seed)
        self.moment = np.minimum(self.world.event, self.world.landed)
        self.drawn_days: list[tuple[int, str]] = []

    def now(self, day: int) -> datetime:
        return (
            BEGIN
            + timedelta(days=day, hours=4)
            + timedelta(microseconds=int(self.world.offset[day]))
        )

    def seen(self, day: int) -> npt.NDArray[np.bool_]:
        true: npt.NDArray[np.bool_] = self.world.visible <= _micro(
            BEGIN + timedelta(days=day, hours=4)
        )
        return true

    def spend(self, workload: Workload, day: int, period: str, wanted: int) -> None:
        # Thin traffic leaves some of it unspent.
        self.played.spent[period] += int(np.ceil(wanted * self.rng.uniform(0.3, 1)))
        self.played.overspent += self.played.spent[period] > workload.review.budget
        self.drawn_days.append((day, period))

    def result(self) -> Played:
        first = period_start("yearly", BEGIN - timedelta(days=1))
        foreign = [p for p in self.played.spent if p < f"{first.year}" or p > "2029"]
        self.played.foreign_periods = foreign
        self.played.dry_periods = self._dry()
        return self.played

    def _dry(self) -> list[str]:
        # Whole periods of many ticks and much traffic, nothing spent, and nothing drawn for them.
        dry: list[str] = []
        workload = self.world.workload(0)
        start = next_period_start(
            workload.cadence,
            BEGIN + timedelta(microseconds=int(self.world.visible.min()) - _micro(BEGIN)),
            workload.timezone,
        )
        while True:
            end = next_period_start(workload.cadence, start, workload.timezone)
            first, last = (start - BEGIN).days + 1, (end - BEGIN).days + 1
            if last >= DAYS - 1:
                return dry
            name = period_name(workload.cadence, start, workload.timezone)
            clock = (self.world.offset[first:last] == 0) & self.world.ticks[first:last]
            if clock.sum() >= _TICKS_THAT_COUNT and not self.played.spent[name]:
                dry.append(name)
            start = end


class _WindowsPlayer(_Player):
    def tick(self, day: int) -> None:
        workload, now = self.world.workload(day), self.now(day)
        while True:
            frontier = frontier_of(self.played.windows, now) or self._first(workload, day, now)
            if frontier is None:
                break
            plan = plan_window(
                workload,
                frontier.end,
                begun=frontier.begun,
                until=start_of_day(now),
                left=lambda period: max(0, workload.review.budget - self.played.spent[period]),
            )
            if plan is None:
                break
            if plan.waits:
                disowning = disowning_window(self.played.windows, frontier, plan, now)
                self.played.windows += [disowning] if disowning else []
                break
            self._close(workload, day, plan.start, plan.end, plan.period, plan.budget, frontier)
        if day in self.world.pushes and self.played.windows:
            self._push(workload, day, now)

    def _first(self, workload: Workload, day: int, now: datetime) -> Frontier | None:
        times = np.sort(self.moment[self.seen(day)])
        ignored = 2 + len(times) // 100
        if len(times) <= ignored:
            return None
        until = start_of_day(now)
        start = max(start_of_day(_moment(times[ignored])), previous_period_start(workload, until))
        return Frontier(start, None, start, last_positions(self.played.windows))

    def _push(self, workload: Workload, day: int, now: datetime) -> None:
        start = max(now - timedelta(days=7), period_start(workload.cadence, now, workload.timezone))
        period = period_name(workload.cadence, start, workload.timezone)
        left = max(0, workload.review.budget - self.played.spent[period])
        budget = min(left, self.world.pushes[day])
        frontier = frontier_of(self.played.windows, now)
        if budget and start < now and frontier is not None:
            self._close(workload, day, start, now, period, budget, frontier)

    def _close(
        self,
        workload: Workload,
        day: int,
        start: datetime,
        end: datetime,
        period: str,
        budget: int,
        frontier: Frontier,
    ) -> None:
        seen, position = self.seen(day), self.world.position
        through = int(position[seen].max(initial=-1))
        frame_start = frontier.end
        if not self.played.windows:
            frame_start = min(start, previous_period_start(workload, end))
        frame = seen & (self.moment < _micro(end))
        late = np.zeros_like(frame)
        if frontier.positions is not None:
            late = position > frontier.positions[_LOG]
        frame &= (self.moment >= _micro(frame_start)) | late
        self.played.frames += frame
        if budget and frame.any():
            self.spend(workload, day, period, budget)
        self.played.windows.append(
            ReviewWindow(
                batch_id="",
                period=period,
                start=start,
                end=end,
                frame_start=frame_start,
                landed_through=None,
                positions={_LOG: through},
                budget=budget,
                answers=int(frame.sum()),
                reason="",
                drawn_at=self.now(day),
                number=next_number(self.played.windows),
            )
        )

    def result(self) -> Played:
        played = super().result()
        reached = frontier_of(played.windows, self.now(DAYS - 1))
        if reached is not None and reached.positions is not None:
            due = self.seen(DAYS - 1) & (self.world.position <= reached.positions[_LOG])
            # What the first window saw and what is older than its frame is history.
            first = (played.windows[0].positions or {})[_LOG]
            oldest = _micro(min(w.frame_start for w in played.windows))
            due &= (self.moment >= oldest) | (self.world.position > first)
            due &= self.moment < _micro(reached.end)
            played.unseen = int((due & (played.frames == 0)).sum())
        return played


class _BeforePlayer(_Player):
    # The rule of before: from the midnight of the last batch that held an item to the last one.
    last: datetime | None = None

    def tick(self, day: int) -> None:
        workload, now, seen = self.world.workload(day), self.now(day), self.seen(day)
        start = self.last or _moment(int(self.world.event[seen].min(initial=2**62)))
        start, end = start_of_day(start), start_of_day(now)
        if start < end:
            self._draw(workload, day, start, end, None)
        if day in self.world.pushes:
            self._draw(workload, day, now - timedelta(days=7), now, self.world.pushes[day])

    def _draw(
        self, workload: Workload, day: int, start: datetime, end: datetime, budget: int | None
    ) -> None:
        period = period_name(workload.cadence, start, workload.timezone)
        left = max(0, workload.review.budget - self.played.spent[period])
        ends = next_period_start(workload.cadence, start, workload.timezone)
        part = 1.0 if end >= ends else (end - start) / (ends - start)
        wanted = int(left * part) if budget is None else min(left, budget)
        event = self.world.event
        frame = self.seen(day) & (event >= _micro(start)) & (event < _micro(end))
        if wanted and frame.any():
            self.spend(workload, day, period, wanted)
            self.last = max(self.last or self.now(day), self.now(day))


def _micro(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _moment(micro: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(min(micro, 2**52)))
