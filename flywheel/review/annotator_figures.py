"""How each person judges, for the data engineer alone: agreement, accuracy, pace, and their drift.

Only items that others decided as well tell anything about a person: gold items, two who agreed, or
a third who adjudicated. Who works on items of their own has no accuracy, which is no bad one. Whoever
agreed with another is right by that alone; on gold items a person has no part in the truth. Label
checks measure nobody: only suspicious labels are checked, so that whoever gave them would look worse.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from flywheel.label_mapping import AnswerMapping
from flywheel.lake.store import Lake
from flywheel.ports.review_queue import LABEL_CHECKS, Annotation
from flywheel.review.collect import read_annotations
from flywheel.review.item_ids import is_adjudication
from flywheel.review.merge import SOURCE
from flywheel.review.verdicts import Judgment, read_judgments
from flywheel.workload import Workload

__all__ = ["AnnotatorFigures", "MonthFigures", "annotator_figures"]

_TRUTH = """
WITH decided AS (
  SELECT correction_id, inference_id, output, annotators FROM latest_corrections
  WHERE workload_id = $workload AND source = $source AND status = 'accepted'
    AND inference_id NOT IN (
      SELECT inference_id FROM review_items
      WHERE workload_id = $workload AND slice = 'adjudication' AND ends_with(batch_id, $checks)
        AND inference_id IS NOT NULL)
)
SELECT correction_id AS item_id, false AS gold, output, annotators FROM decided
UNION ALL
SELECT DISTINCT item.item_id, true, decided.output, decided.annotators
FROM review_items AS item
LEFT JOIN decided ON decided.inference_id = item.inference_id AND len(decided.annotators) > 1
WHERE item.workload_id = $workload AND item.slice = 'gold'
"""


@dataclass(frozen=True)
class MonthFigures:
    """One person in one month (UTC); ``accuracy`` is None where nothing was checked."""

    month: str
    judgments: int
    checked: int
    accuracy: float | None
    median_seconds: float | None


@dataclass(frozen=True)
class AnnotatorFigures:
    """One person.

    ``agreement`` is the share of pairs on one item, this person in them, that gave one answer;
    ``accuracy`` the share of right answers among those whose truth others decided as well, and
    ``gold_accuracy`` the same on gold items alone. ``drift`` is the accuracy of the newest month with any, less that of all months before.
    """

    annotator: str
    judgments: int
    skipped: int
    cant_tell: int
    pairs: int
    agreement: float | None
    checked: int
    accuracy: float | None
    gold_checked: int
    gold_accuracy: float | None
    median_seconds: float | None
    drift: float | None
    months: tuple[MonthFigures, ...]


@dataclass(frozen=True)
class _Mark:
    # One judgment: None where nobody else decided the item.
    annotation: Annotation
    gold: bool
    right: bool | None
    pairs: int
    agreed: int


@dataclass(frozen=True)
class _Truth:
    # What is known of an item; without a key nobody is measured by it.
    gold: bool
    key: str | None = None
    parties: frozenset[str] = frozenset()

    def measures(self, name: str) -> bool:
        if self.key is None:
            return False
        return name not in self.parties if self.gold else bool(self.parties - {name})


def annotator_figures(lake: Lake, workload: Workload) -> list[AnnotatorFigures]:
    """Work out the figures of everybody who ever judged an item of the workload, by name."""
    mapping = AnswerMapping(workload)
    by_item: dict[str, list[Annotation]] = defaultdict(list)
    skipped: dict[str, int] = defaultdict(int)
    for annotation in read_annotations(lake, workload.id):
        if annotation.kind == "skipped" and not annotation.deleted:
            skipped[annotation.annotator] += 1
        elif not is_adjudication(annotation.item_id):
            by_item[annotation.item_id].append(annotation)
    asked = {"workload": workload.id, "source": SOURCE, "checks": LABEL_CHECKS}
    known = {row["item_id"]: row for row in lake.rows(_TRUTH, asked)}
    marks: dict[str, list[_Mark]] = defaultdict(list)
    for item_id, annotations in by_item.items():
        judged, _ = read_judgments(workload, mapping, annotations)
        for mark in _marks(judged, _truth(mapping, known.get(item_id))):
            marks[mark.annotation.annotator].append(mark)
    return [_figures(name, marks[name], skipped[name]) for name in sorted({*marks, *skipped})]


def _truth(mapping: AnswerMapping, row: Mapping[str, Any] | None) -> _Truth:
    if row is None or row["output"] is None:
        return _Truth(gold=row is not None and row["gold"])
    output = json.loads(row["output"])
    # A known answer whose label is retired meanwhile could be given by nobody any more.
    if row["gold"] and not mapping.present(output).usable:
        return _Truth(row["gold"])
    return _Truth(row["gold"], mapping.key(output), frozenset(row["annotators"]))


def _marks(judged: Sequence[Judgment], truth: _Truth) -> Iterable[_Mark]:
    for one in judged:
        # Two who answer a gold item do not make a pair: one of them may have decided it.
        others = [] if truth.gold else [other for other in judged if other is not one]
        right = None
        if truth.measures(one.annotation.annotator):
            right = one.kind == "answer" and one.key == truth.key
        agreed = sum(other.key == one.key for other in others)
        yield _Mark(one.annotation, truth.gold, right, len(others), agreed)


def _figures(name: str, marks: Sequence[_Mark], skipped: int) -> AnnotatorFigures:
    by_month: dict[str, list[_Mark]] = defaultdict(list)
    for mark in marks:
        by_month[f"{mark.annotation.updated_at:%Y-%m}"].append(mark)
    on_gold = [mark for mark in marks if mark.gold]
    pairs = sum(mark.pairs for mark in marks)
    agreed = sum(mark.agreed for mark in marks)
    checked = [month for month in sorted(by_month) if _checked(by_month[month])]
    drift = None
    if len(checked) > 1:
        before = [mark for month in checked[:-1] for mark in by_month[month]]
        drift = _share(_checked(by_month[checked[-1]])) - _share(_checked(before))
    return AnnotatorFigures(
        annotator=name,
        judgments=len(marks),
        skipped=skipped,
        cant_tell=sum(mark.annotation.kind == "cant_tell" for mark in marks),
        pairs=pairs,
        agreement=agreed / pairs if pairs else None,
        checked=len(_checked(marks)),
        accuracy=_accuracy(marks),
        gold_checked=len(_checked(on_gold)),
        gold_accuracy=_accuracy(on_gold),
        median_seconds=_pace(marks),
        drift=drift,
        months=tuple(_month(month, by_month[month]) for month in sorted(by_month)),
    )


def _month(month: str, marks: Sequence[_Mark]) -> MonthFigures:
    checked = len(_checked(marks))
    return MonthFigures(month, len(marks), checked, _accuracy(marks), _pace(marks))


def _checked(marks: Iterable[_Mark]) -> list[bool]:
    return [mark.right for mark in marks if mark.right is not None]


def _accuracy(marks: Iterable[_Mark]) -> float | None:
    checked = _checked(marks)
    return _share(checked) if checked else None


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right)


def _pace(marks: Iterable[_Mark]) -> float | None:
    seconds = [m.annotation.seconds for m in marks if m.annotation.seconds is not None]
    return median(seconds) if seconds else None
