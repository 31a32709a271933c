"""`directed_cases`: the judged items of a directed review, as rows that a gate measures."""

from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.artifacts.dataset_rows import LabeledRow
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.dataset.examples import read_examples
from flywheel.lake.store import Lake
from flywheel.workload.label_mapping import AnswerMapping

__all__ = ["DirectedCases", "directed_cases"]

_ITEMS = """
SELECT item.item_id, item.inference_id, (
    SELECT count(DISTINCT annotator) FROM latest_annotations AS given
    WHERE given.item_id = item.item_id AND NOT given.deleted AND given.kind <> 'skipped'
  ) >= item.judgments AS judged
FROM review_items AS item
WHERE item.workload_id = $workload AND item.slice = 'directed'
  AND list_contains($batches, item.batch_id)
QUALIFY row_number() OVER (PARTITION BY item.item_id ORDER BY item.chosen_at) = 1
"""


@dataclass(frozen=True)
class DirectedCases:
    """How far a directed review is.

    ``rows`` have an accepted answer and are cases for a gate; ``waiting`` items have not been judged.
    The others were judged, and people could not tell or named a category that there is not.
    """

    asked: int
    waiting: int
    rows: list[LabeledRow]


def directed_cases(
    lake: Lake, opened: OpenedWorkload, batches: Sequence[str], *, hash_key: str
) -> DirectedCases:
    """Read what people judged of these batches, in the labels that the cycle was opened with."""
    if not batches:
        return DirectedCases(0, 0, [])
    workload = opened.workload
    items = lake.rows(_ITEMS, {"workload": workload.id, "batches": list(batches)})
    examples, _ = read_examples(lake, workload.id, AnswerMapping(workload), hash_key)
    ids = {row["item_id"] for row in items}
    rows: list[LabeledRow] = [
        {
            "inference_id": example.inference_id,
            "correction_id": example.correction_id,
            "input": example.input,
            "output": example.output,
            "label_id": example.label_id,
            "subject_id": example.subject_id,
        }
        for example in sorted(examples, key=lambda one: one.inference_id)
        if example.correction_id in ids
    ]
    return DirectedCases(len(items), sum(not row["judged"] for row in items), rows)
