"""Bring what people answered from the queue into the lake, and doubts and disputes back."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.lake.views import LATEST_CORRECTION
from flywheel.ports.review_queue import ReviewItem, ReviewQueue, SetAside
from flywheel.review.merging.annotation_reading import reason_of
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.conflicts import conflicting_items
from flywheel.review.merging.merge import (
    SOURCE,
    MergeOutcome,
    adjudication_of,
    merge_annotations,
)
from flywheel.review.merging.merge_focus import MergeFocus
from flywheel.review.merging.pulling import OneWriter, pull_judgments
from flywheel.review.sampling.label_checks import choose_checks
from flywheel.review.sampling.second_judgments import choose_second_judgments
from flywheel.review.sampling.sent_items import (
    NOTHING_SPENT,
    SentItem,
    Spending,
    item_rows,
    read_sent,
    spending_by_period,
)
from flywheel.workload.model import Workload

__all__ = ["MergeReport", "collect", "unreadable_annotations"]


_CURRENT = f"""
SELECT * FROM corrections WHERE workload_id = $workload
  AND correction_id IN (SELECT unnest($ids::VARCHAR[]))
{LATEST_CORRECTION} AND source = $source
"""  # noqa: S608 - constants of the project


@dataclass(frozen=True)
class MergeReport:
    """What a merge found and wrote.

    ``corrections`` counts the new versions by status, ``verdicts`` all items by what they amount
    to, ``adjudications_waiting`` the disputes that the period's budget does not pay for,
    ``label_checks`` the accepted labels that looked wrong and are decided again,
    ``second_judgments`` the answers that another person judges since the first one is in doubt, and
    ``set_aside`` what lies in the queue or in the lake and cannot be read.
    """

    annotations: int
    corrections: dict[str, int]
    verdicts: dict[str, int]
    adjudications: int
    adjudications_waiting: int
    unusable: int
    unknown_items: int
    label_checks: int = 0
    second_judgments: int = 0
    set_aside: tuple[SetAside, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        requests = (self.adjudications, self.label_checks, self.second_judgments)
        return any((self.annotations, self.corrections, *requests))


def collect(lake: Lake, queue: ReviewQueue, workload: Workload, *, now: datetime) -> MergeReport:
    """Pull, keep every version, merge into corrections, send disputes to another person.

    The first call of a day pulls everything, which finds every deletion; the others what changed.

    Raises:
        ConcurrencyError: another merge of the workload came first; this one can be repeated.
    """
    pulled, aside = pull_judgments(lake, queue, workload, now)
    corrections = OneWriter(lake, "corrections", workload.id)
    items = OneWriter(lake, "review_items", workload.id)
    focus = MergeFocus(lake, workload)
    outcome = _merge(lake, workload, focus, now)
    if outcome.corrections:
        corrections.append(outcome.corrections)
    disputed = [*outcome.disputed, *conflicting_items(lake, workload)]
    spent = spending_by_period(lake, workload.id) if disputed or outcome.corrections else {}
    paid = _affordable(workload, spent, disputed)
    again = choose_second_judgments(lake, workload, spent, paid, now) if outcome.corrections else []
    adjudications = [_adjudication(entry, outcome.disputed_fields, now) for entry in paid]
    if adjudications or again:
        items.append(_rows([*adjudications, *again]))
    checks = _check_labels(lake, workload, now) if outcome.corrections else []
    focus.settle(outcome.verdicts, outcome.unsettled)
    raised = [entry.item.item_id for entry in again]
    new = [entry.item for entry in (*adjudications, *checks)]
    _push(queue, workload, [*_items(lake, workload, [*focus.open_items, *raised]), *new])
    verdicts, unusable = _totals(focus, outcome)
    return MergeReport(
        annotations=pulled,
        corrections=dict(Counter(row["status"] for row in outcome.corrections)),
        verdicts=verdicts,
        adjudications=len(paid),
        adjudications_waiting=len(disputed) - len(paid),
        unusable=unusable,
        unknown_items=focus.unknown_annotations,
        label_checks=len(checks),
        second_judgments=len(again),
        set_aside=(*aside, *_unreadable(lake, workload, focus.unreadable_items)),
    )


def _merge(lake: Lake, workload: Workload, focus: MergeFocus, now: datetime) -> MergeOutcome:
    ids = focus.changed_items
    if not ids:
        return MergeOutcome()
    sent = read_sent(lake, workload.id, ids)
    annotations = read_annotations(lake, workload.id, items=ids)
    return merge_annotations(workload, sent, annotations, _current(lake, workload.id, ids), now)


def _totals(focus: MergeFocus, outcome: MergeOutcome) -> tuple[dict[str, int], int]:
    statuses, unusable = focus.settled_verdicts()
    total = Counter(statuses) + Counter(verdict.status for verdict in outcome.verdicts)
    return dict(total), unusable + sum(verdict.unusable for verdict in outcome.verdicts)


def unreadable_annotations(lake: Lake, workload: Workload) -> list[SetAside]:
    """Return the annotations whose answer cannot be read, each with its author and the reason."""
    return _unreadable(lake, workload, None)


def _unreadable(lake: Lake, workload: Workload, items: Sequence[str] | None) -> list[SetAside]:
    annotations = read_annotations(lake, workload.id, kind="unreadable", items=items)
    return [reason_of(workload, one) for one in annotations if not one.deleted]


def _current(lake: Lake, workload_id: str, ids: Sequence[str]) -> dict[str, Row]:
    rows = lake.rows(_CURRENT, {"workload": workload_id, "source": SOURCE, "ids": ids})
    return {row["correction_id"]: row for row in rows}


def _affordable(
    workload: Workload, spent: Mapping[str, Spending], disputed: Iterable[SentItem]
) -> list[SentItem]:
    paid: list[SentItem] = []
    left: dict[str, int] = {}
    for entry in disputed:
        period = entry.item.period
        if period not in left:
            left[period] = workload.review.budget - spent.get(period, NOTHING_SPENT).sent
        if left[period] > 0:
            left[period] -= 1
            paid.append(entry)
    return paid


def _adjudication(
    entry: SentItem, fields: Mapping[str, tuple[str, ...]], now: datetime
) -> SentItem:
    item = adjudication_of(entry, now, fields.get(entry.item.item_id, ()))
    return replace(entry, item=item, judgments_drawn=item.judgments)


def _rows(entries: Sequence[SentItem]) -> pa.Table:
    times = {entry.item.inference_id: entry.event_time for entry in entries}
    answers = {entry.item.inference_id: entry.original_output for entry in entries}
    return item_rows([entry.item for entry in entries], times, answers)


def _check_labels(lake: Lake, workload: Workload, now: datetime) -> list[SentItem]:
    # Once a day, when new answers came: the fit over all labels takes seconds.
    application, today = f"label-checks:{workload.id}", now.toordinal()
    if (lake.transaction("review_items", application) or 0) >= today:
        return []
    checks = choose_checks(lake, workload, now)
    return checks if lake.append("review_items", _rows(checks), once=(application, today)) else []


def _items(lake: Lake, workload: Workload, ids: Sequence[str]) -> list[ReviewItem]:
    return [entry.item for entry in read_sent(lake, workload.id, ids)] if ids else []


def _push(queue: ReviewQueue, workload: Workload, items: Iterable[ReviewItem]) -> None:
    # All that somebody must still answer, as the lake holds them: what was cut off before its push
    # is repaired by the next merge.
    urgent = sorted(items, key=lambda item: (-item.priority, item.item_id))
    if urgent:
        queue.push(workload, urgent)
