"""Second judgments where the first one is in doubt, out of what the batches left for them.

An accepted answer that one person gave stays accepted until another one contradicts it; then a third
decides. A control item is judged again only where that was drawn at random: asking again where the
model was contradicted would correct people's errors in one direction, and bias its figure.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import Annotation
from flywheel.review.sampling.budget import CHOICE_COST
from flywheel.review.sampling.doubt import ErrorRates, GivenAnswer, error_rates, most_doubtful
from flywheel.review.sampling.marks import read_marks
from flywheel.review.sampling.presence import present_since
from flywheel.review.sampling.sent_items import SentItem, spending
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["choose_second_judgments"]


def choose_second_judgments(
    lake: Lake,
    workload: Workload,
    sent: Sequence[SentItem],
    annotations: Sequence[Annotation],
    corrections: Mapping[str, Mapping[str, Any]],
    paid: Sequence[SentItem],
    now: datetime,
) -> list[SentItem]:
    """Choose the items that another person judges now, each charged to the period of its batch.

    Args:
        lake: what the periods have spent is read from it, and how people judged before.
        workload: its overlap and its budget decide.
        sent: every item ever chosen.
        annotations: the latest version of every annotation.
        corrections: latest row of every correction, by its id.
        paid: disputes that are sent to adjudication at this moment and not written yet.
        now: stamped on the items.
    """
    if not workload.review.overlap:
        return []
    open_ = _Candidates(workload, sent, annotations, corrections, paid, now).by_period()
    waiting = Counter(entry.item.period for entry in paid)
    chosen: list[SentItem] = []
    rates: ErrorRates | None = None
    for period, entries in sorted(open_.items()):
        most = _room(lake, workload, period, waiting[period])
        if most:
            rates = rates or _rates(lake, workload, annotations)
            by_name = {answer.name: entry for entry, answer in entries}
            worst = most_doubtful([answer for _, answer in entries], rates, most)
            chosen += [_again(by_name[one.name], doubt, now) for one, doubt in worst]
    return chosen


def _room(lake: Lake, workload: Workload, period: str, waiting: int) -> int:
    used, policy = spending(lake, workload.id, period), workload.review
    affordable = (policy.budget - used.sent - used.held_back - waiting) // CHOICE_COST
    return max(0, min(affordable, used.twice.now(policy.overlap)))


def _rates(lake: Lake, workload: Workload, annotations: Sequence[Annotation]) -> ErrorRates:
    marks = read_marks(lake, workload, annotations)
    return error_rates(
        [(mark.annotation.annotator, bool(mark.right)) for mark in marks if mark.measures],
        [
            (mark.label_id, bool(mark.right))
            for mark in marks
            if mark.label_id is not None and mark.right is not None
        ],
    )


def _again(entry: SentItem, doubt: float, now: datetime) -> SentItem:
    item = replace(
        entry.item,
        judgments=entry.item.judgments + 1,
        reason=f"second judgment: the first one is wrong with a chance of {doubt:.2f}",
        score=round(doubt, 4),
        chosen_at=now,
    )
    return replace(entry, item=item)


@dataclass(frozen=True)
class _Candidates:
    # Undisputed answers of one person that another person can judge.
    workload: Workload
    sent: Sequence[SentItem]
    annotations: Iterable[Annotation]
    corrections: Mapping[str, Mapping[str, Any]]
    paid: Sequence[SentItem]
    now: datetime

    def by_period(self) -> dict[str, list[tuple[SentItem, GivenAnswer]]]:
        mapping = AnswerMapping(self.workload)
        since = present_since(self.now)
        current = {one.annotator for one in self.annotations if one.updated_at >= since}
        disputed = {e.item.inference_id for e in self.sent if e.item.slice == "adjudication"}
        disputed |= {entry.item.inference_id for entry in self.paid}
        candidates: dict[str, list[tuple[SentItem, GivenAnswer]]] = defaultdict(list)
        for entry in self.sent:
            row = self.corrections.get(entry.item.item_id)
            if row is None or entry.item.inference_id in disputed or not _is_single(entry, row):
                continue
            if current - set(row["annotators"]):
                candidates[entry.item.period].append((entry, _given(mapping, entry, row)))
        return candidates


def _is_single(entry: SentItem, row: Mapping[str, Any]) -> bool:
    return (
        entry.item.makes_correction
        # Doubt goes by the champion's answer: of a disagreement it would check one side alone.
        and entry.item.slice not in {"control", "directed", "disagreement"}
        and entry.item.judgments == 1
        and row["status"] == "accepted"
        and len(row["annotators"]) == 1
    )


def _given(mapping: AnswerMapping, entry: SentItem, row: Mapping[str, Any]) -> GivenAnswer:
    model_output = entry.original_output
    answer = json.loads(row["output"])
    return GivenAnswer(
        name=entry.item.item_id,
        annotator=row["annotators"][0],
        label_id=row["label_id"],
        with_model=None if model_output is None else mapping.same(model_output, answer),
        confidence=entry.item.confidence,
    )
