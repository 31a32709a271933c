"""Bring what people answered from the queue into the lake, and doubts and disputes back."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import pyarrow as pa

from flywheel.errors import ConcurrencyError
from flywheel.io.records import Row
from flywheel.lake.erasure import erased_inferences
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.review_queue import Annotation, ReviewItem, ReviewQueue, SetAside
from flywheel.review.merging.annotation_reading import reason_of
from flywheel.review.merging.annotations import read_annotations
from flywheel.review.merging.conflicts import conflicting_items
from flywheel.review.merging.merge import SOURCE, adjudication_of, merge_annotations
from flywheel.review.sampling.label_checks import choose_checks
from flywheel.review.sampling.second_judgments import choose_second_judgments
from flywheel.review.sampling.sent_items import (
    SentItem,
    item_rows,
    read_sent,
    spending,
    with_items,
)
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload

__all__ = ["MergeReport", "collect", "unreadable_annotations"]


# How `label_studio_format.annotator_of` names who has no address, and who is not named at all.
_NUMBERED, _NOBODY = "label_studio:", "unknown:"


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
    pulled, aside = _pull(lake, queue, workload, now)
    corrections = _OneWriter(lake, "corrections", workload.id)
    items = _OneWriter(lake, "review_items", workload.id)
    sent = read_sent(lake, workload.id)
    annotations = read_annotations(lake, workload.id)
    current = _current(lake, workload.id)
    outcome = merge_annotations(workload, sent, annotations, current, now)
    if outcome.corrections:
        corrections.append(outcome.corrections)
    disputed = [*outcome.disputed, *conflicting_items(lake, workload, sent)]
    paid = _affordable(lake, workload, disputed)
    again: list[SentItem] = []
    if outcome.corrections:
        current |= {row["correction_id"]: row for row in outcome.corrections}
        again = choose_second_judgments(lake, workload, sent, annotations, current, paid, now)
    if paid or again:
        times = {entry.item.inference_id: entry.event_time for entry in (*paid, *again)}
        adjudications = [
            adjudication_of(entry, now, outcome.disputed_fields.get(entry.item.item_id, ()))
            for entry in paid
        ]
        adjudications += [entry.item for entry in again]
        answers = {e.item.inference_id: e.original_output for e in (*paid, *again)}
        items.append(item_rows(adjudications, times, answers))
        sent = with_items(sent, adjudications, times)
    checks = _check_labels(lake, workload, sent, now) if outcome.corrections else []
    sent = with_items(sent, [item for item, _ in checks], _times(checks))
    _push_unanswered(queue, workload, sent, annotations)
    return MergeReport(
        annotations=pulled,
        corrections=dict(Counter(row["status"] for row in outcome.corrections)),
        verdicts=outcome.verdicts,
        adjudications=len(paid),
        adjudications_waiting=len(disputed) - len(paid),
        unusable=outcome.unusable,
        unknown_items=outcome.unknown_items,
        label_checks=len(checks),
        second_judgments=len(again),
        set_aside=(*aside, *_unreadable(workload, annotations)),
    )


def unreadable_annotations(lake: Lake, workload: Workload) -> list[SetAside]:
    """Return the annotations whose answer cannot be read, each with its author and the reason."""
    return _unreadable(workload, read_annotations(lake, workload.id, kind="unreadable"))


def _unreadable(workload: Workload, annotations: Iterable[Annotation]) -> list[SetAside]:
    return [
        reason_of(workload, one)
        for one in annotations
        if one.kind == "unreadable" and not one.deleted
    ]


class _OneWriter:
    # Reads a table's transaction before its rows are read: of two merges that saw the same rows,
    # the second to write is refused.
    def __init__(self, lake: Lake, table: str, workload_id: str) -> None:
        self._lake, self._table = lake, table
        self._application = f"review-merge:{workload_id}"
        self._version = (lake.transaction(table, self._application) or 0) + 1

    def append(self, rows: list[Row] | pa.Table) -> None:
        if isinstance(rows, list):
            rows = pa.Table.from_pylist(rows, schema=TABLES[self._table].schema)
        if not self._lake.append(self._table, rows, once=(self._application, self._version)):
            raise ConcurrencyError(
                f"Another merge wrote {self._table} first.", next_step="run the merge again"
            )


def _pull(
    lake: Lake, queue: ReviewQueue, workload: Workload, now: datetime
) -> tuple[int, tuple[SetAside, ...]]:
    # How far we are stands in the lake's own transactions: committed after the annotations, it is
    # never ahead of them.
    cursor = _Mark(lake, f"review-cursor:{queue.name}:{workload.id}")
    whole_day = _Mark(lake, f"review-whole:{queue.name}:{workload.id}")
    today = now.toordinal()
    everything = whole_day.at < today
    pull = queue.pull(workload, None if everything or not cursor.at else str(cursor.at))
    annotations = _keep_annotations(lake, workload, pull.annotations, now)
    if everything:
        whole_day.move(today)
    cursor.move(int(pull.cursor))
    return annotations, pull.set_aside


class _Mark:
    def __init__(self, lake: Lake, application: str) -> None:
        self._lake, self._application = lake, application
        self.at = lake.transaction("annotations", application) or 0

    def move(self, to: int) -> None:
        if to > self.at:
            nothing = pa.Table.from_pylist([], schema=TABLES["annotations"].schema)
            self._lake.append("annotations", nothing, once=(self._application, to))


def _keep_annotations(
    lake: Lake, workload: Workload, annotations: Iterable[Annotation], now: datetime
) -> int:
    writer = _OneWriter(lake, "annotations", workload.id)
    stored = {
        (row["annotation_id"], row["version"]): row["annotator"]
        for row in lake.rows(
            "SELECT annotation_id, version, annotator FROM stored.annotations "
            "WHERE workload_id = $workload ORDER BY seen_at",
            {"workload": workload.id},
        )
    }
    erased = erased_inferences(lake, workload.id)
    rows = []
    for annotation in annotations:
        if annotation.inference_id in erased:  # of a queue that was restored, or not reached yet
            continue
        key = (annotation.annotation_id, annotation.version)
        # Who was a number in one export and has an address in the next is one person.
        if key in stored and not _is_named_now(stored[key], annotation.annotator):
            continue
        stored[key] = annotation.annotator
        output = None if annotation.output is None else canonical_json(annotation.output)
        raw = json.dumps(annotation.raw, ensure_ascii=False, sort_keys=True)
        rows.append(asdict(annotation) | {"output": output, "raw": raw, "seen_at": now})
    if rows:
        writer.append(rows)
    return len(rows)


def _is_named_now(before: str, now: str) -> bool:
    return before.startswith(_NUMBERED) and not now.startswith((_NUMBERED, _NOBODY))


def _current(lake: Lake, workload_id: str) -> dict[str, Row]:
    rows = lake.rows(
        "SELECT * FROM latest_corrections WHERE workload_id = $workload AND source = $source",
        {"workload": workload_id, "source": SOURCE},
    )
    return {row["correction_id"]: row for row in rows}


def _affordable(lake: Lake, workload: Workload, disputed: Iterable[SentItem]) -> list[SentItem]:
    paid: list[SentItem] = []
    left: dict[str, int] = {}
    for entry in disputed:
        period = entry.item.period
        if period not in left:
            left[period] = workload.review.budget - spending(lake, workload.id, period).sent
        if left[period] > 0:
            left[period] -= 1
            paid.append(entry)
    return paid


_Check = tuple[ReviewItem, datetime]


def _check_labels(
    lake: Lake, workload: Workload, sent: Sequence[SentItem], now: datetime
) -> list[_Check]:
    # Once a day, when new answers came: the fit over all labels takes seconds.
    application, today = f"label-checks:{workload.id}", now.toordinal()
    if (lake.transaction("review_items", application) or 0) >= today:
        return []
    checks = choose_checks(lake, workload, sent, now)
    answers = {entry.item.inference_id: entry.original_output for entry in sent}
    rows = item_rows([item for item, _ in checks], _times(checks), answers)
    return checks if lake.append("review_items", rows, once=(application, today)) else []


def _times(checks: Iterable[_Check]) -> dict[str, datetime]:
    return {item.inference_id: at for item, at in checks}


def _push_unanswered(
    queue: ReviewQueue,
    workload: Workload,
    sent: Iterable[SentItem],
    annotations: Iterable[Annotation],
) -> None:
    # All of them, as the lake holds them: what was cut off before its push is repaired by the next
    # merge.
    people: dict[str, set[str]] = defaultdict(set)
    for annotation in annotations:
        if not annotation.deleted:
            people[annotation.item_id].add(annotation.annotator)
    items = [
        entry.item
        for entry in sent
        if not people[entry.item.item_id]
        or (entry.chosen_again and len(people[entry.item.item_id]) < entry.item.judgments)
    ]
    if items:
        queue.push(workload, items)
