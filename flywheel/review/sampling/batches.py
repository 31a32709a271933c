"""From a window of traffic to a batch in the review queue, within the period's budget.

`sample_due` draws the windows that are due, `sample_batch` one that is named. A window is
closed in the lake, then its items are written once, then pushed; a call that was cut off in between
is repaired by the next one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import ReviewQueue
from flywheel.quality.calibration import Calibration
from flywheel.quality.traffic_start import newest_answer, traffic_start
from flywheel.review.sampling.batch_maker import BatchMaker
from flywheel.review.sampling.batch_report import BatchReport, SamplingReport
from flywheel.review.sampling.doubted import Doubts
from flywheel.review.sampling.sent_items import judgments_left_in
from flywheel.review.sampling.window_ledger import (
    close_window,
    landed_through,
    read_windows,
    seen_positions,
    unfinished_window,
)
from flywheel.review.sampling.windows import (
    Frontier,
    ReviewWindow,
    WindowPlan,
    batch_name,
    disowning_window,
    frontier_of,
    last_positions,
    next_number,
    paced_budget,
    plan_window,
    previous_period_start,
    start_of_day,
    valid_windows,
)
from flywheel.workload.model import Workload
from flywheel.workload.periods import next_period_start, period_name

__all__ = [
    "BatchReport",
    "Sampler",
    "SamplingReport",
    "batch_name",
    "judgments_left",
    "sample_batch",
    "sample_due",
]


def judgments_left(lake: Lake, workload: Workload, at: datetime) -> int:
    """Return the judgments that the period of ``at`` can still ask for."""
    return judgments_left_in(lake, workload, period_name(workload.cadence, at, workload.timezone))


def sample_due(  # noqa: PLR0913 - what a batch rests on
    lake: Lake,
    queue: ReviewQueue,
    workload: Workload,
    *,
    now: datetime,
    answering: Collection[str] | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    disagreements: Collection[str] = (),
    doubts: Doubts | None = None,
) -> SamplingReport:
    """Draw every window of whole days that is due, each within the budget of its period.

    A window that its period cannot pay for stays open until it can, or until the period ends: it
    is then closed unasked, and the next period's windows follow it.

    Args:
        lake: answers are read from it, windows and items written to it.
        queue: takes the items.
        workload: its review policy and its periods decide.
        now: days before its midnight are whole; stamped on windows and items.
        answering: releases that answer now, see `read_candidates`.
        calibrations: by release; what people are shown and the limit is compared with is the
            calibrated confidence, and the raw one where there is none.
        disagreements: answers that a release in shadow answers otherwise, see `choose_items`.
        doubts: names the answers that a second opinion doubts, see `doubted_first`.
    """
    batch = BatchMaker(
        lake, queue, workload, now, answering, calibrations or {}, disagreements, doubts
    )
    return Sampler(batch).draw_due()


def sample_batch(  # noqa: PLR0913 - what a batch rests on
    lake: Lake,
    queue: ReviewQueue,
    workload: Workload,
    *,
    window_start: datetime,
    window_end: datetime,
    now: datetime,
    budget: int | None = None,
    answering: Collection[str] | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    disagreements: Collection[str] = (),
    doubts: Doubts | None = None,
) -> BatchReport:
    """Choose the batch of a window once, keep it and push it.

    A window that has a batch, to the same end or further, is reported as ``existing``. One that
    continues into the next period is cut at its start.

    Args:
        lake: answers are read from it, windows and items written to it.
        queue: takes the items.
        workload: its review policy and its period decide.
        window_start: event time from which uncertain and novel answers are sought. The control
            slice is drawn from every answer before ``window_end`` that no earlier window held.
        window_end: event time before which answers are candidates.
        now: stamped on the items.
        budget: judgments for this batch; by default the window's part of what the period has left,
            and never more than that.
        answering: as in `sample_due`.
        calibrations: as in `sample_due`.
        disagreements: as in `sample_due`.
        doubts: as in `sample_due`.
    """
    batch = BatchMaker(
        lake, queue, workload, now, answering, calibrations or {}, disagreements, doubts
    )
    return Sampler(batch).draw_window(window_start, window_end, budget)


@dataclass
class Sampler:
    """Draw windows of one workload at one moment."""

    batch: BatchMaker

    def __post_init__(self) -> None:
        self.lake, self.workload, self.now = self.batch.lake, self.batch.workload, self.batch.now

    def draw_due(self) -> SamplingReport:
        """Draw every window that is due; see `sample_due`."""
        batches, windows = self._finish()
        while True:
            frontier = frontier_of(windows, self.now)
            if frontier is None:
                frontier = self._first_frontier(windows)
                if frontier is not None and (old := self._only_old_answers(frontier)):
                    return SamplingReport(batches, old)
            plan = None if frontier is None else self._plan(frontier)
            if frontier is None or plan is None:
                return SamplingReport(batches)
            if plan.waits:
                disowning = disowning_window(windows, frontier, plan, self.now)
                if disowning is not None:
                    close_window(self.lake, self.workload.id, disowning)
                return SamplingReport(batches, plan.reason)
            batches.append(self._draw(plan, windows))
            windows = self._windows()

    def draw_window(self, start: datetime, end: datetime, budget: int | None) -> BatchReport:
        """Draw a named window; see `sample_batch`."""
        _, windows = self._finish()
        period = period_name(self.workload.cadence, start, self.workload.timezone)
        ends = next_period_start(self.workload.cadence, start, self.workload.timezone)
        cut = f"cut at the end of {period}: the rest is a window of its own" if end > ends else ""
        end = min(end, ends, self.now)
        plan = WindowPlan(start, end, period, 0, reason="the window lies in the future")
        if start >= end:
            return self.batch.unasked(plan)
        existing = self._existing(windows, start, end)
        if existing is not None:
            return self.batch.report(existing, None, existing=True)
        frontier = frontier_of(windows, self.now)
        left = self.batch.left(period)
        if budget is None:
            begun = start if frontier is None else frontier.begun
            budget = paced_budget(self.workload, left, start, end, begun=begun)
        plan = replace(plan, budget=min(budget, left), reason="")
        if not plan.budget:
            spent = f"{left} of {self.workload.review.budget} judgments are left in {period}"
            return self.batch.unasked(replace(plan, reason=f"{spent}, too few for this window"))
        return self._draw(plan, windows, note=cut, named=True)

    def _existing(
        self, windows: Sequence[ReviewWindow], start: datetime, end: datetime
    ) -> ReviewWindow | None:
        for window in valid_windows(windows, self.now):
            same = window.start == start and window.end >= end and window.budget > 0
            if not window.recorded:  # only its name says where it began
                same = window.batch_id == batch_name(self.workload, start)
            if same:
                return window
        return None

    def _windows(self) -> list[ReviewWindow]:
        return read_windows(self.lake, self.workload.id)

    def _finish(self) -> tuple[list[BatchReport], list[ReviewWindow]]:
        # The batch of a window that was closed by a call that did not come to write its items, and
        # all windows.
        closed = self._windows()
        windows = valid_windows(closed, self.now)
        cut_off = unfinished_window(self.lake, self.workload.id, windows)
        if cut_off is None:
            return [], closed
        before = frontier_of([w for w in windows if w is not cut_off], self.now)
        earlier = [window for window in windows if window is not cut_off]
        return [self.batch.ask(cut_off, self.batch.candidates(cut_off, before, earlier))], closed

    def _first_frontier(self, windows: Sequence[ReviewWindow]) -> Frontier | None:
        began = traffic_start(self.lake, self.workload.id)
        if began is None:
            return None
        oldest = previous_period_start(self.workload, start_of_day(self.now))
        start = max(start_of_day(began), oldest)
        return Frontier(start, None, start, last_positions(windows))

    def _only_old_answers(self, first: Frontier) -> str:
        # A log of long ago, imported before there was any traffic. Windows that can hold none of it
        # would put it out of the reach of one that is named later.
        newest = newest_answer(self.lake, self.workload.id)
        if newest is None or newest >= first.end:
            return ""
        return (
            f"the newest answer is of {newest:%Y-%m-%d}, and windows begin by themselves at "
            f"{first.end:%Y-%m-%d}; ask about older ones with --since and --until"
        )

    def _plan(self, frontier: Frontier) -> WindowPlan | None:
        return plan_window(
            self.workload,
            frontier.end,
            begun=frontier.begun,
            until=start_of_day(self.now),
            left=self.batch.left,
        )

    def _draw(
        self,
        plan: WindowPlan,
        windows: Sequence[ReviewWindow],
        *,
        note: str = "",
        named: bool = False,
    ) -> BatchReport:
        frontier = frontier_of(windows, self.now)
        window = ReviewWindow(
            batch_id=batch_name(self.workload, plan.start, [one.batch_id for one in windows]),
            period=plan.period,
            start=plan.start,
            end=plan.end,
            frame_start=self._frame_start(plan, frontier),
            landed_through=landed_through(self.lake, self.workload.id, self.now),
            positions=seen_positions(self.lake, self.workload.id),
            budget=plan.budget,
            answers=0,
            reason=plan.reason,
            drawn_at=self.now,
            number=next_number(windows),
        )
        pool = self.batch.candidates(window, frontier, windows)
        if named and not pool.total:
            return self.batch.unasked(
                replace(plan, reason="no answer of this window can be asked about")
            )
        window = replace(window, answers=pool.frame)
        window = close_window(self.lake, self.workload.id, window)
        return self.batch.ask(window, pool, note)

    def _frame_start(self, plan: WindowPlan, frontier: Frontier | None) -> datetime:
        if frontier is not None:
            return frontier.end
        # The frame goes on where the last one ended, also where another release answered then: each
        # answer is judged once, and counts for the release that gave it (`control_slice`). Only what
        # is sought, uncertain or new, must be the present release's (`read_candidates`).
        # The first window takes in what came earlier as well, but no older history.
        return min(plan.start, previous_period_start(self.workload, plan.end))
