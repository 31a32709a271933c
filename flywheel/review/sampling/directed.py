"""`draw_directed`: the cases that a gate lacks, drawn at random and asked blind.

They are for a comparison of two models, so that it must not matter to the draw what either of them
answers: every answer of the frame has the same chance, which is kept with the item. The frame holds
the answers of closed windows that nobody was asked about and whose text is none that the candidate
was trained on, nearly or exactly; how many that leaves out is reported. The figure of production's
accuracy does not read these items: their frame is not all traffic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.lake.store import Lake
from flywheel.ports.review_queue import ReviewItem, ReviewQueue
from flywheel.review.sampling.candidate_query import CandidateQuery
from flywheel.review.sampling.candidates import Candidate, read_candidates
from flywheel.review.sampling.draws import blind_priority, draw
from flywheel.review.sampling.item_ids import new_item_id
from flywheel.review.sampling.sent_items import item_rows, judgments_left_in, read_batch
from flywheel.review.sampling.window_ledger import batch_transaction, landed_through, read_windows
from flywheel.review.sampling.windows import ReviewWindow, frontier_of, previous_period_start
from flywheel.similarity.conversations import same_conversations
from flywheel.similarity.near_duplicates import closest_matches
from flywheel.workload.model import Workload
from flywheel.workload.periods import period_name

__all__ = [
    "DirectedBatch",
    "choose_directed",
    "directed_batch_name",
    "directed_batches",
    "draw_directed",
]

# Batches of one moment are told apart by the number at the end of their names.
_BATCHES = """
SELECT batch_id FROM stored.review_items
WHERE workload_id = $workload AND slice = 'directed' AND cycle = $cycle AND attempt = $attempt
GROUP BY batch_id ORDER BY min(chosen_at), len(batch_id), batch_id
"""
_PERIOD = """
SELECT any_value(period) AS period FROM stored.review_items
WHERE workload_id = $workload AND batch_id = $batch
"""


@dataclass(frozen=True)
class DirectedBatch:
    """What one draw asked.

    ``frame`` is the number of answers it was drawn from, ``trained_on`` how many were left out since
    the candidate was trained on their text. ``missing`` cases are not asked yet: the period's
    budget, ``left`` judgments after this draw, or the frame was too small.
    """

    batch_id: str
    items: int
    frame: int
    trained_on: int
    missing: int
    period: str
    left: int


def directed_batch_name(period: str, cycle: str, attempt: int, number: int) -> str:
    """Name a directed batch of a cycle's attempt, the period that pays for it first."""
    return f"{period}-directed.{cycle.replace('-', '.')}.{attempt}.{number}"


def directed_batches(lake: Lake, cycle: CycleRef, attempt: int) -> list[str]:
    """Return the directed batches of a cycle's attempt that were written, in their order."""
    parameters = {"workload": cycle.workload_id, "cycle": cycle.name, "attempt": attempt}
    return [row["batch_id"] for row in lake.rows(_BATCHES, parameters)]


def choose_directed(  # noqa: PLR0913 - what a draw rests on
    workload: Workload,
    frame: Sequence[Candidate],
    cases: int,
    *,
    batch_id: str,
    period: str,
    cycle: str,
    attempt: int,
    now: datetime,
) -> list[ReviewItem]:
    """Draw so many answers of a frame by a hash alone; a repeated draw is the same.

    Args:
        workload: its id and seed enter the hash.
        frame: answers that may be asked, in any order.
        cases: how many; all of the frame where it is smaller.
        batch_id: name of the batch.
        period: the period that pays.
        cycle: whose gate they decide, part of the hash.
        attempt: number of its attempt, part of the hash.
        now: stamped on the items.
    """
    purpose = f"directed:{cycle}:{attempt}"
    drawn = sorted(
        (draw(workload.seed, workload.id, purpose, one.inference_id), one.inference_id, one)
        for one in frame
    )[:cases]
    return [
        ReviewItem(
            item_id=new_item_id(workload.id, batch_id, one.inference_id),
            batch_id=batch_id,
            workload_id=workload.id,
            inference_id=one.inference_id,
            slice="directed",
            reason=f"drawn at random to decide a gate: {len(drawn)} of {len(frame)} answers",
            score=round(chance, 4),
            inclusion_probability=len(drawn) / len(frame),
            input=one.input,
            model_output=None,
            confidence=one.confidence,
            release=one.release,
            judgments=1,
            priority=blind_priority(workload.id, batch_id, one.inference_id),
            subject_id=one.subject_id,
            chosen_at=now,
            period=period,
            batch_kind="directed",
            cycle=cycle,
            attempt=attempt,
        )
        for chance, _, one in drawn
    ]


def draw_directed(  # noqa: PLR0913 - what a draw rests on
    lake: Lake,
    queue: ReviewQueue,
    workload: Workload,
    *,
    cycle: CycleRef,
    attempt: int,
    number: int,
    cases: int,
    since: datetime | None,
    trained_texts: Sequence[str],
    now: datetime,
    written: str | None = None,
) -> DirectedBatch:
    """Draw a directed batch within what the period's budget has left, keep it and push it.

    Args:
        lake: answers are read from it, items written to it.
        queue: takes the items.
        workload: its budget and its near-duplicate threshold decide.
        cycle: whose gate is undecided.
        attempt: number of its attempt.
        number: counts the draws of the attempt; a repeated call draws nothing twice.
        cases: how many are still missing.
        since: event time of the oldest answer; None: the start of the period before.
        trained_texts: inputs that the candidate was trained on.
        now: stamped on the items; its period pays.
        written: name of a batch that was written by a call which ended before its push or record:
            it is pushed, and nothing else is drawn. Its period may be an earlier one.
    """
    period = period_name(workload.cadence, now, workload.timezone)
    batch_id = written or directed_batch_name(period, cycle.name, attempt, number)
    if written is not None:
        asked_before = {"workload": workload.id, "batch": written}
        period = lake.rows(_PERIOD, asked_before)[0]["period"]
    once = batch_transaction(workload.id, batch_id)
    candidates = _candidates(lake, workload, since, now)
    frame = _untrained(workload, candidates, trained_texts)
    if lake.transaction("review_items", once) is None:
        items = choose_directed(
            workload,
            frame,
            min(cases, judgments_left_in(lake, workload, period)),
            batch_id=batch_id,
            period=period,
            cycle=cycle.name,
            attempt=attempt,
            now=now,
        )
        times = {one.inference_id: one.event_time for one in frame}
        answers = {one.inference_id: one.output for one in frame}
        if items:
            lake.append("review_items", item_rows(items, times, answers), once=(once, 1))
    # Another process may have written the batch first: what the lake holds is what is sent.
    existing = read_batch(lake, workload.id, batch_id)
    if existing:
        queue.push(workload, existing)
    return DirectedBatch(
        batch_id=batch_id,
        items=len(existing),
        frame=len(frame),
        trained_on=len(candidates) - len(frame),
        missing=max(0, cases - len(existing)),
        period=period,
        left=judgments_left_in(lake, workload, period),
    )


def _candidates(
    lake: Lake, workload: Workload, since: datetime | None, now: datetime
) -> list[Candidate]:
    # Answers of windows that are still open are left to their control slice.
    frontier = frontier_of(read_windows(lake, workload.id), now)
    end = now if frontier is None else min(now, frontier.end)
    start = min(end, since or previous_period_start(workload, end))
    span = ReviewWindow(
        batch_id="",
        period="",
        start=start,
        end=end,
        frame_start=start,
        landed_through=landed_through(lake, workload.id, now),
        budget=0,
        answers=0,
        reason="",
        drawn_at=now,
    )
    candidates = read_candidates(CandidateQuery(lake, workload.id, span, late_after=None))
    return [candidate for candidate in candidates if candidate.in_window]


def _untrained(
    workload: Workload, candidates: list[Candidate], trained: Sequence[str]
) -> list[Candidate]:
    references = [(str(number), text) for number, text in enumerate(trained)]
    threshold = workload.review.near_duplicate
    if workload.input == "conversation":
        same = same_conversations([one.input for one in candidates], trained)
        candidates = [one for one, is_same in zip(candidates, same, strict=True) if not is_same]
    matches = closest_matches([one.input for one in candidates], references, threshold)
    return [one for one, match in zip(candidates, matches, strict=True) if match is None]
