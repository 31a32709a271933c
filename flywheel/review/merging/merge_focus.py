"""`MergeFocus`: the items that a merge has to look at, and what was settled of all others.

A merge works out each item again from all judgments on it. For an item of which nothing changed since
a merge had nothing to write, it would come to the same result: such items are known by a
fingerprint, and only what the merge reports of them is kept. All others are read, whenever they were
sent: an answer that comes months late changes the fingerprint of its item.
"""

from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.review.merging.judgment_prints import DECIDED, GIVEN, ITEM
from flywheel.review.merging.kept_rows import KeptRows
from flywheel.review.merging.merge import ItemVerdict
from flywheel.workload.model import Workload

__all__ = ["MergeFocus"]

# One row per answer that people were asked about: its item, and the adjudication of that, if any.
# `open` are items that somebody must still answer, so that the queue must hold them.
_ANSWERS = f"""
WITH item AS ({ITEM}), given AS ({GIVEN}), decided AS ({DECIDED}),
together AS (
  SELECT coalesce(item.inference_id, given.inference_id) AS inference_id, item_id,
    item.digest AS item_digest, given.digest AS given_digest, item.item_id IS NOT NULL AS known,
    coalesce(given.people, 0) AS people, item.judgments, item.drawn,
    coalesce(given.annotations, 0) AS annotations, coalesce(given.unreadable, false) AS unreadable
  FROM item FULL JOIN given USING (item_id)
)
SELECT inference_id,
  hash(inference_id, any_value(decided.digest),
    sum(hash(item_id, item_digest, given_digest))) AS fingerprint,
  list(item_id) FILTER (known) AS items,
  list(item_id) FILTER (
    known AND (people = 0 OR (judgments > drawn AND people < judgments))
  ) AS open,
  list(item_id) FILTER (unreadable) AS unreadable,
  coalesce(sum(annotations) FILTER (NOT known), 0)::BIGINT AS unknown
FROM together LEFT JOIN decided USING (inference_id)
GROUP BY inference_id
"""  # noqa: S608 - constants of the project


class MergeFocus:
    """The answers whose items a merge reads, by the state of the lake when this was made.

    Args:
        lake: holds items, judgments and corrections.
        workload: another revision of it has everything read.
    """

    def __init__(self, lake: Lake, workload: Workload) -> None:
        columns = {"status": pa.string(), "unusable": pa.int64()}
        self._kept = KeptRows(lake, workload, "settled", columns)
        answers = lake.query(_ANSWERS, {"workload": workload.id})
        self._settled, self._changed = self._kept.read(answers)
        self.changed_items = _names(self._changed["items"])
        self.open_items = _names(answers["open"])
        self.unreadable_items = _names(answers["unreadable"])
        self.unknown_annotations = int(pc.sum(answers["unknown"]).as_py() or 0)

    def settled_verdicts(self) -> tuple[dict[str, int], int]:
        """Return how many settled items there are by status, and their unusable judgments."""
        counted = pc.value_counts(self._settled["status"]).to_pylist()
        statuses = {one["values"]: one["counts"] for one in counted if one["values"] is not None}
        return statuses, int(pc.sum(self._settled["unusable"]).as_py() or 0)

    def settle(self, verdicts: Iterable[ItemVerdict], unsettled: Collection[str]) -> None:
        """Keep what a merge came to.

        Args:
            verdicts: of the items that it read.
            unsettled: answers whose items the next merge has to read as well: something was written,
                or is to be written once the budget allows it.
        """
        by_answer: dict[str, list[ItemVerdict]] = {}
        for verdict in verdicts:
            by_answer.setdefault(verdict.inference_id, []).append(verdict)
        changed = self._changed.select(["inference_id", "fingerprint"]).to_pylist()
        made = [
            row
            for answer in changed
            if answer["inference_id"] not in unsettled
            for row in _rows(answer["fingerprint"], by_answer.get(answer["inference_id"], ()))
        ]
        self._kept.write(self._settled, made)


def _rows(fingerprint: int, verdicts: Iterable[ItemVerdict]) -> list[Row]:
    # What makes no correction (a gold item, a judgment on an unknown item) has no verdict.
    rows: list[Row] = [
        {"fingerprint": fingerprint, "status": one.status, "unusable": one.unusable}
        for one in verdicts
    ]
    return rows or [{"fingerprint": fingerprint, "status": None, "unusable": 0}]


def _names(lists: pa.ChunkedArray) -> list[str]:
    names: list[str] = pc.list_flatten(lists).to_pylist()
    return names
