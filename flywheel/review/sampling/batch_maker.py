"""`BatchMaker`: the batch of one closed window, from its candidates to the queue.

Which windows are drawn is left to `batches`.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import ReviewItem, ReviewQueue
from flywheel.quality.calibration import Calibration
from flywheel.review.sampling.batch_items import write_items
from flywheel.review.sampling.batch_report import BatchReport
from flywheel.review.sampling.candidate_pool import CandidatePool, read_pool
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.doubted import Doubts
from flywheel.review.sampling.sent_items import judgments_left_in, read_batch
from flywheel.review.sampling.windows import (
    Frontier,
    ReviewWindow,
    WindowPlan,
    batch_name,
    last_positions,
)
from flywheel.workload.model import Workload

__all__ = ["BatchMaker"]


@dataclass
class BatchMaker:
    """Make batches of one workload at one moment; arguments as in `batches.sample_due`."""

    lake: Lake
    queue: ReviewQueue
    workload: Workload
    now: datetime
    answering: Collection[str] | None
    calibrations: Mapping[str, Calibration]
    disagreements: Collection[str] = ()
    doubts: Doubts | None = None

    def left(self, period: str) -> int:
        """Return the judgments that a period, by name, can still ask for."""
        return judgments_left_in(self.lake, self.workload, period)

    def candidates(
        self,
        window: ReviewWindow,
        frontier: Frontier | None,
        earlier: Sequence[ReviewWindow],
    ) -> CandidatePool:
        """Read the answers that a window may ask about, their confidence calibrated."""
        late = _takes_late_answers(window, frontier)
        positions = None if late is None else late.positions
        if frontier is None:
            positions = last_positions(earlier)
        query = CandidateQuery(
            self.lake,
            self.workload.id,
            window,
            late_after=None if late is None else late.landed_through,
            positions_after=positions,
        )
        return read_pool(
            query,
            self.workload,
            self.calibrations,
            self.answering,
            disagreements=self.disagreements,
        )

    def ask(self, window: ReviewWindow, pool: CandidatePool, note: str = "") -> BatchReport:
        """Write the items of a closed window once, push them and report."""
        if window.budget:
            write_items(
                self.lake, self.workload, window, pool, self.now, self.disagreements, self.doubts
            )
        report = self.report(window, pool.total, note=note or window.reason)
        return replace(report, of_earlier_releases=self._of_earlier_releases(pool))

    def _of_earlier_releases(self, pool: CandidatePool) -> int | None:
        if self.answering is None:
            return None
        return sum(
            count
            for release, count in pool.by_release.items()
            if release and release not in self.answering
        )

    def report(
        self,
        window: ReviewWindow,
        candidates: int | None,
        *,
        existing: bool = False,
        note: str = "",
    ) -> BatchReport:
        """Push what the lake holds of a window's batch and say what it is."""
        # Another process may have written the batch first: what the lake holds is what is sent.
        items: list[ReviewItem] = read_batch(self.lake, self.workload.id, window.batch_id)
        return BatchReport(
            batch_id=window.batch_id,
            items=len(items),
            by_slice=dict(Counter(item.slice for item in items)),
            judgments=sum(item.judgments for item in items),
            candidates=candidates,
            pushed=self.queue.push(self.workload, items) if items else 0,
            period=window.period,
            period_budget=self.workload.review.budget,
            judgments_left=self.left(window.period),
            window_start=window.start,
            window_end=window.end,
            existing=existing,
            note=note,
        )

    def unasked(self, plan: WindowPlan) -> BatchReport:
        """Report a window in which nothing is asked."""
        return BatchReport(
            batch_id=batch_name(self.workload, plan.start),
            items=0,
            by_slice={},
            judgments=0,
            candidates=0,
            pushed=0,
            period=plan.period,
            period_budget=self.workload.review.budget,
            judgments_left=self.left(plan.period),
            window_start=plan.start,
            window_end=plan.end,
            note=plan.reason,
        )


def _takes_late_answers(window: ReviewWindow, frontier: Frontier | None) -> Frontier | None:
    # A window that ends before the frontier takes no late answers: they belong to the next one.
    return None if frontier is None or window.end < frontier.end else frontier
