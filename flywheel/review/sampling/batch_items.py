"""The items of one batch: known answers beside what is chosen from the window, written once."""

from collections.abc import Collection
from datetime import datetime

from flywheel.lake.store import Lake
from flywheel.review.sampling.candidate_pool import CandidatePool
from flywheel.review.sampling.candidates import known_texts
from flywheel.review.sampling.doubted import Doubts, doubted_first
from flywheel.review.sampling.draws import choose_items
from flywheel.review.sampling.gold import choose_gold, gold_beside, gold_budget, read_known_answers
from flywheel.review.sampling.sent_items import item_rows
from flywheel.review.sampling.window_ledger import batch_transaction
from flywheel.review.sampling.windows import ReviewWindow
from flywheel.workload.model import Workload

__all__ = ["write_items"]


def write_items(
    lake: Lake,
    workload: Workload,
    window: ReviewWindow,
    pool: CandidatePool,
    now: datetime,
    disagreements: Collection[str] = (),
    doubts: Doubts | None = None,
) -> None:
    """Choose the items of a window within its budget and write them, unless that was done.

    Args:
        lake: known answers are read from it and items written to it.
        workload: its review policy decides.
        window: its batch and budget.
        pool: answers never sent before.
        now: stamped on the items.
        disagreements: answers that a release in shadow answers otherwise, see `choose_items`.
        doubts: names the answers that a second opinion doubts; they come first, see `doubted_first`.
    """
    batch_id = window.batch_id
    once = batch_transaction(workload.id, batch_id)
    if lake.transaction("review_items", once) is not None:
        return
    most = gold_budget(workload, batch_id, window.budget)
    known_answers = read_known_answers(lake, workload, now) if most else []
    gold = choose_gold(
        workload, known_answers, most, batch_id=batch_id, period=window.period, now=now
    )
    chosen = choose_items(
        workload,
        pool.candidates,
        budget=window.budget - len(gold),
        batch_id=batch_id,
        period=window.period,
        seed=workload.seed,
        now=now,
        known_texts=known_texts(lake, workload.id),
        frame=pool.frame,
        disagreements=disagreements,
    )
    if doubts is not None:
        chosen = doubted_first(chosen, doubts)
    gold = gold[: gold_beside(workload, batch_id, sum(item.judgments for item in chosen))]
    times = {candidate.inference_id: candidate.event_time for candidate in pool.candidates}
    times |= {entry.item.inference_id: entry.event_time for entry in gold}
    answers = {candidate.inference_id: candidate.output for candidate in pool.candidates}
    answers |= {entry.item.inference_id: entry.original_output for entry in gold}
    rows = item_rows([*(entry.item for entry in gold), *chosen], times, answers)
    # Also where there are none: the transaction says that the window was drawn to its end.
    lake.append("review_items", rows, once=(once, 1))
