"""From a window of traffic to a batch in the review queue, within the period's budget.

A batch is written to the lake once and then pushed; a call that was cut off in between is repaired
by the next one, which finds the batch and pushes it again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from flywheel.calibration import Calibration
from flywheel.lake.store import Lake
from flywheel.periods import next_period_start, period_name
from flywheel.ports.review_queue import ReviewItem, ReviewQueue
from flywheel.review.candidates import Candidate, known_texts, read_candidates
from flywheel.review.gold import choose_gold, gold_beside, gold_budget, read_known_answers
from flywheel.review.sampling import choose_items
from flywheel.review.sent_items import item_rows, read_batch, spending
from flywheel.review.strategies import calibrated_margin
from flywheel.workload import Workload

__all__ = ["BatchReport", "batch_name", "judgments_left", "sample_batch"]


@dataclass(frozen=True)
class BatchReport:
    """What a batch holds and what it costs.

    ``candidates`` is None where the batch had been chosen by an earlier call.
    """

    batch_id: str
    items: int
    by_slice: dict[str, int]
    judgments: int
    candidates: int | None
    pushed: int
    period: str
    period_budget: int
    judgments_left: int


def batch_name(workload: Workload, window_start: datetime) -> str:
    """Name the batch of the window that starts then, its period first."""
    start = window_start.astimezone(UTC)
    day = f"{start:%Y%m%d}" if (start.hour, start.minute) == (0, 0) else f"{start:%Y%m%dT%H%M}"
    return f"{_period(workload, window_start)}-{day}"


def judgments_left(lake: Lake, workload: Workload, at: datetime) -> int:
    """Return the judgments that the period of ``at`` can still ask for."""
    used = spending(lake, workload.id, _period(workload, at))
    return max(0, workload.review.budget - used.sent - used.held_back)


def sample_batch(  # noqa: PLR0913 - what a batch rests on
    lake: Lake,
    queue: ReviewQueue,
    workload: Workload,
    *,
    window_start: datetime,
    window_end: datetime,
    now: datetime,
    budget: int | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> BatchReport:
    """Choose the batch of a window once, keep it and push it.

    Args:
        lake: answers are read from it and items written to it.
        queue: takes the items.
        workload: its review policy and its period decide.
        window_start: event time from which answers are candidates.
        window_end: event time before which they are.
        now: stamped on the items.
        budget: judgments for this batch; by default the window's part of what the period has left,
            and never more than that.
        calibrations: by release; what people are shown and the limit is compared with is the
            calibrated confidence, and the raw one where there is none.
    """
    batch_id = batch_name(workload, window_start)
    items = read_batch(lake, workload.id, batch_id)
    seen = None
    if not items:
        found = read_candidates(lake, workload.id, window_start, window_end)
        candidates = [_calibrated(candidate, calibrations or {}) for candidate in found]
        seen = len(candidates)
        left = judgments_left(lake, workload, window_start)
        wanted = _pace(workload, left, window_start, window_end) if budget is None else budget
        wanted = min(wanted, left)
        most = gold_budget(workload, batch_id, wanted)
        known = read_known_answers(lake, workload, now) if most else []
        gold = choose_gold(workload, known, most, batch_id=batch_id, now=now)
        chosen = choose_items(
            workload,
            candidates,
            budget=wanted - len(gold),
            batch_id=batch_id,
            seed=workload.seed,
            now=now,
            known_texts=known_texts(lake, workload.id),
        )
        cost = sum(item.judgments for item in chosen)
        gold = gold[: gold_beside(workload, batch_id, cost)]
        times = {candidate.inference_id: candidate.event_time for candidate in candidates}
        times |= {entry.item.inference_id: entry.event_time for entry in gold}
        items = [*(entry.item for entry in gold), *chosen]
        items = _keep(lake, workload, batch_id, items, times)
    pushed = queue.push(workload, items) if items else 0
    return BatchReport(
        batch_id=batch_id,
        items=len(items),
        by_slice=dict(Counter(item.slice for item in items)),
        judgments=sum(item.judgments for item in items),
        candidates=seen,
        pushed=pushed,
        period=_period(workload, window_start),
        period_budget=workload.review.budget,
        judgments_left=judgments_left(lake, workload, window_start),
    )


def _calibrated(candidate: Candidate, calibrations: Mapping[str, Calibration]) -> Candidate:
    known = calibrations.get(candidate.release)
    if known is None or candidate.confidence is None:
        return candidate
    calibrated = known(candidate.confidence)
    margin = calibrated_margin(candidate.confidence, candidate.margin, calibrated)
    return replace(candidate, confidence=calibrated, margin=margin)


def _keep(
    lake: Lake,
    workload: Workload,
    batch_id: str,
    items: list[ReviewItem],
    event_times: Mapping[str, datetime],
) -> list[ReviewItem]:
    if not items:
        return []
    rows = item_rows(items, event_times)
    lake.append("review_items", rows, once=(f"review-batch:{workload.id}:{batch_id}", 1))
    # Another process may have written the batch first: what the lake holds is what is sent.
    return read_batch(lake, workload.id, batch_id)


def _pace(workload: Workload, left: int, window_start: datetime, window_end: datetime) -> int:
    # Spread what is left evenly over the rest of the period; its last window may spend it all.
    end = next_period_start(workload.cadence, window_start, workload.timezone)
    if window_end >= end:
        return left
    return int(left * ((window_end - window_start) / (end - window_start)))


def _period(workload: Workload, at: datetime) -> str:
    return period_name(workload.cadence, at, workload.timezone)
