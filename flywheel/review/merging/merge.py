"""From annotations to corrections: agreement is truth, disagreement goes to another person.

Each item is worked out again from all annotations on it and only what changed is written, so that a
call that was cut off, or made twice, changes nothing. Which items a call reads is left to
`merge_focus`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flywheel.io.records import Row
from flywheel.ports.review_queue import Annotation, ReviewItem
from flywheel.review.merging.field_agreement import differing_fields
from flywheel.review.merging.verdicts import Judgment, Verdict, decide, read_judgments
from flywheel.review.sampling.draws import draw
from flywheel.review.sampling.item_ids import adjudication_id
from flywheel.review.sampling.sent_items import SentItem
from flywheel.workload.answers import canonical_json
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = [
    "SOURCE",
    "ItemVerdict",
    "MergeOutcome",
    "adjudication_of",
    "merge_annotations",
]

SOURCE = "review"
_NAMED_FIELDS = 5
# A correction is written again when one of these differs from its latest version.
_CONTENT = (
    "status", "output", "label_id", "proposed_label", "annotators", "annotation_ids",
)  # fmt: skip


@dataclass(frozen=True)
class ItemVerdict:
    """What the judgments on an item amount to.

    Attributes:
        inference_id: answer that the item asks about.
        status: that of its verdict.
        unusable: judgments on it, adjudications included, that cannot be used.
    """

    inference_id: str
    status: str
    unusable: int


@dataclass(frozen=True)
class MergeOutcome:
    """New versions of corrections, items that need an adjudicator, and the verdict of each item.

    ``disputed_fields`` are the fields of an extraction on which an item's judgments differ.
    """

    corrections: list[dict[str, Any]] = field(default_factory=list)
    disputed: list[SentItem] = field(default_factory=list)
    disputed_fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    verdicts: list[ItemVerdict] = field(default_factory=list)

    @property
    def unsettled(self) -> set[str]:
        """Answers of which something is written now, or once the budget allows it."""
        written = {row["inference_id"] for row in self.corrections}
        return written | {entry.item.inference_id for entry in self.disputed}


def merge_annotations(
    workload: Workload,
    sent: Sequence[SentItem],
    annotations: Sequence[Annotation],
    current: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> MergeOutcome:
    """Work out the corrections that the annotations on some items amount to.

    Args:
        workload: its taxonomy maps the answers.
        sent: the items, each with all others about the same answer.
        annotations: the latest version of every annotation on them.
        current: latest row of their corrections, by its id.
        now: when a correction of this call is accepted.
    """
    by_item: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        by_item[annotation.item_id].append(annotation)
    roots = [entry for entry in sent if entry.item.makes_correction]
    adjudications = {
        entry.item.inference_id: entry.item.item_id
        for entry in sent
        if entry.item.slice == "adjudication"
    }
    mapping = AnswerMapping(workload)
    corrections, disputed = [], []
    disputed_fields: dict[str, tuple[str, ...]] = {}
    verdicts: list[ItemVerdict] = []
    for entry in roots:
        second_id = adjudications.get(entry.item.inference_id)
        first, bad = read_judgments(workload, mapping, by_item[entry.item.item_id])
        second, worse = _adjudications(workload, mapping, first, by_item[second_id or ""])
        verdict = decide(first, entry.judgments_drawn, second, mapping=mapping)
        verdicts.append(ItemVerdict(entry.item.inference_id, verdict.status, bad + worse))
        if verdict.status == "disputed" and second_id is None:
            disputed.append(entry)
            disputed_fields[entry.item.item_id] = differing_fields(workload, first)
        row = _correction(workload, entry, verdict, current.get(entry.item.item_id), now)
        if row is not None:
            corrections.append(row)
    return MergeOutcome(corrections, disputed, disputed_fields, verdicts)


def adjudication_of(entry: SentItem, now: datetime, fields: Sequence[str] = ()) -> ReviewItem:
    """Make the item in which another person decides a dispute; it counts in the same batch.

    ``fields`` are those that the judgments differ on, where it is not the answer as a whole.
    """
    root = entry.item
    return ReviewItem(
        item_id=adjudication_id(root.item_id),
        batch_id=root.batch_id,
        workload_id=root.workload_id,
        inference_id=root.inference_id,
        slice="adjudication",
        reason=f"annotators disagree{_on(fields)}: decide as a third person",
        score=1.0,
        inclusion_probability=None,
        input=root.input,
        model_output=root.model_output,
        confidence=None if root.measures else root.confidence,
        release=root.release,
        judgments=1,
        priority=round(4 + draw(root.item_id) * 0.99, 4),
        subject_id=root.subject_id,
        chosen_at=now,
        period=root.period,
        batch_kind=root.batch_kind,
        disputed_item_id=root.item_id,
        cycle=root.cycle,
        attempt=root.attempt,
    )


def _on(fields: Sequence[str]) -> str:
    more = f" and {len(fields) - _NAMED_FIELDS} more" if len(fields) > _NAMED_FIELDS else ""
    return f" on {', '.join(fields[:_NAMED_FIELDS])}{more}" if fields else ""


def _adjudications(
    workload: Workload,
    mapping: AnswerMapping,
    first: Sequence[Judgment],
    annotations: Sequence[Annotation],
) -> tuple[list[Judgment], int]:
    # No one decides their own dispute; Label Studio lets everyone open every item.
    second, unusable = read_judgments(workload, mapping, annotations)
    parties = {judgment.annotation.annotator for judgment in first}
    others = [judgment for judgment in second if judgment.annotation.annotator not in parties]
    return others, unusable + len(second) - len(others)


def _correction(
    workload: Workload,
    entry: SentItem,
    verdict: Verdict,
    latest: Mapping[str, Any] | None,
    now: datetime,
) -> Row | None:
    status: str = verdict.status
    if status in ("open", "cant_tell"):
        if latest is None or latest["status"] == "withdrawn":
            return None
        status = "withdrawn"
    version = 1 if latest is None else int(latest["version"]) + 1
    row = _row(workload, entry, verdict) | {"status": status, "version": version}
    if latest is not None and all(row[name] == latest[name] for name in _CONTENT):
        return None
    return row | {"accepted_at": now}


def _row(workload: Workload, entry: SentItem, verdict: Verdict) -> Row:
    item = entry.item
    people = [judgment.annotation for judgment in verdict.judgments]
    output = None if verdict.output is None else canonical_json(verdict.output)
    original = None if entry.original_output is None else canonical_json(entry.original_output)
    return {
        "workload_id": workload.id,
        "correction_id": item.item_id,
        "inference_id": item.inference_id,
        "batch_id": item.batch_id,
        "slice": item.slice,
        "input": item.input,
        "output": output,
        "label_id": verdict.label_id,
        "proposed_label": verdict.proposed_label,
        "taxonomy_version": workload.taxonomy_version,
        "original_output": original,
        "original_release": item.release,
        "inclusion_probability": item.inclusion_probability,
        "annotators": [annotation.annotator for annotation in people],
        "annotation_ids": [annotation.annotation_id for annotation in people],
        "simulated": any(annotation.simulated for annotation in people),
        "source": SOURCE,
        "subject_id": item.subject_id,
        "event_time": entry.event_time,
    }
