"""`read_marks`: every judgment of a workload, marked right or wrong where others decided as well.

Only items that others decided as well tell anything about a person: gold items, two who agreed, or
a third who adjudicated. Who agreed with another is right by that alone; on gold items a person
has no part in the truth. Label checks mark no one: only suspicious labels are checked, so that
their authors would look worse. Second judgments that were asked for because the first was in
doubt are marked as such, for the same reason.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import Annotation
from flywheel.review.merging.merge import SOURCE
from flywheel.review.merging.verdicts import Judgment, agree, read_judgments
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["Mark", "read_marks"]

_TRUTH = """
WITH decided AS (
  SELECT correction_id, inference_id, output, annotators FROM latest_corrections
  WHERE workload_id = $workload AND source = $source AND status = 'accepted'
    AND inference_id NOT IN (
      SELECT inference_id FROM label_checks
      WHERE workload_id = $workload AND inference_id IS NOT NULL)
)
SELECT correction_id AS item_id, false AS gold, output, annotators FROM decided
WHERE correction_id IN (SELECT unnest($items::VARCHAR[]))
UNION ALL
SELECT DISTINCT item.item_id, true, decided.output, decided.annotators
FROM review_items AS item
LEFT JOIN decided ON decided.inference_id = item.inference_id AND len(decided.annotators) > 1
WHERE item.workload_id = $workload AND item.slice = 'gold'
  AND item.item_id IN (SELECT unnest($items::VARCHAR[]))
"""
_ADJUDICATIONS = """
SELECT DISTINCT item_id FROM review_items
WHERE workload_id = $workload AND slice = 'adjudication'
  AND item_id IN (SELECT unnest($items::VARCHAR[]))
"""
_CHOSEN = """
SELECT item_id FROM review_items
WHERE workload_id = $workload AND item_id IN (SELECT unnest($items::VARCHAR[]))
GROUP BY item_id HAVING max(judgments) > min(judgments)
"""


@dataclass(frozen=True)
class Mark:
    """One judgment.

    Attributes:
        annotation: as it was given.
        label_id: label that it names, None where it names none.
        gold: whether the answer was known before.
        chosen: whether the item got a second judgment because the first was in doubt: of such items
            more are wrong than of others.
        right: None where no one else decided the item.
        pairs: other judgments of the item.
        agreed: those of them that say the same.
    """

    annotation: Annotation
    label_id: str | None
    gold: bool
    chosen: bool
    right: bool | None
    pairs: int
    agreed: int

    @property
    def measures(self) -> bool:
        """Whether it says something about the person who judged."""
        return self.right is not None and not self.chosen


@dataclass(frozen=True)
class _Truth:
    # What is known of an item; without an answer no one is measured by it.
    gold: bool
    output: Any = None
    parties: frozenset[str] = frozenset()

    def measures(self, name: str) -> bool:
        if self.output is None:
            return False
        return name not in self.parties if self.gold else bool(self.parties - {name})


def read_marks(lake: Lake, workload: Workload, annotations: Sequence[Annotation]) -> list[Mark]:
    """Mark the latest judgment of each person on each item, adjudications left out.

    Args:
        lake: what the items amount to is read from it.
        workload: its taxonomy maps the answers.
        annotations: the latest version of every annotation.
    """
    mapping = AnswerMapping(workload)
    parameters: dict[str, Any] = {
        "workload": workload.id,
        "items": sorted({annotation.item_id for annotation in annotations}),
    }
    adjudications = {row["item_id"] for row in lake.rows(_ADJUDICATIONS, parameters)}
    by_item: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        if annotation.kind != "skipped" and annotation.item_id not in adjudications:
            by_item[annotation.item_id].append(annotation)
    truths = {row["item_id"]: row for row in lake.rows(_TRUTH, parameters | {"source": SOURCE})}
    chosen = {row["item_id"] for row in lake.rows(_CHOSEN, parameters)}
    marks: list[Mark] = []
    for item_id, answers in by_item.items():
        judged, _ = read_judgments(workload, mapping, answers)
        marks += _marks(mapping, judged, _truth(mapping, truths.get(item_id)), chosen)
    return marks


def _truth(mapping: AnswerMapping, row: Mapping[str, Any] | None) -> _Truth:
    if row is None or row["output"] is None:
        return _Truth(gold=row is not None and row["gold"])
    output = json.loads(row["output"])
    # A known answer whose label is retired meanwhile could not be given any more.
    if row["gold"] and not mapping.present(output).usable:
        return _Truth(row["gold"])
    return _Truth(row["gold"], output, frozenset(row["annotators"]))


def _marks(
    mapping: AnswerMapping, judged: Sequence[Judgment], truth: _Truth, chosen: AbstractSet[str]
) -> Iterable[Mark]:
    for one in judged:
        # Two who answer a gold item do not make a pair: one of them may have decided it.
        others = [] if truth.gold else [other for other in judged if other is not one]
        right = None
        if truth.measures(one.annotation.annotator):
            right = one.kind == "answer" and mapping.same(one.output, truth.output)
        yield Mark(
            annotation=one.annotation,
            label_id=one.label_id,
            gold=truth.gold,
            chosen=one.annotation.item_id in chosen,
            right=right,
            pairs=len(others),
            agreed=sum(agree(mapping, one, other) for other in others),
        )
