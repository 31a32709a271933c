"""Review items as the lake keeps them: to rows and back, and what a period has spent on them."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.sampling.budget import CHOICE_COST, JudgedTwice
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload

__all__ = [
    "NOTHING_SPENT",
    "SentItem",
    "Spending",
    "adjudicated",
    "item_rows",
    "judgments_left_in",
    "read_batch",
    "read_sent",
    "spending",
    "spending_by_period",
]

_SENT = """
SELECT r.* REPLACE (max(r.judgments) OVER (PARTITION BY r.item_id) AS judgments),
       r.judgments AS judgments_drawn
FROM review_items r
WHERE r.workload_id = $workload
  AND ($items IS NULL OR r.item_id IN (SELECT unnest($items::VARCHAR[])))
QUALIFY row_number() OVER (PARTITION BY r.item_id ORDER BY r.chosen_at, r.judgments) = 1
ORDER BY r.priority DESC, r.item_id
"""
# Items of earlier versions do not hold the answer that they ask about.
_OUTPUTS = """
SELECT inference_id, output FROM first_inferences
WHERE workload_id = $workload AND inference_id IN (SELECT unnest($ids::VARCHAR[]))
"""

_BATCH = """
SELECT * EXCLUDE (event_time, original_output)
  REPLACE (max(judgments) OVER (PARTITION BY item_id) AS judgments)
FROM review_items
WHERE workload_id = $workload AND batch_id = $batch AND slice <> 'adjudication'
QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY chosen_at, judgments) = 1
ORDER BY priority DESC, item_id
"""

_ADJUDICATED = """
SELECT DISTINCT inference_id FROM review_items
WHERE workload_id = $workload AND slice = 'adjudication'
  AND inference_id IN (SELECT unnest($ids::VARCHAR[]))
"""

# What lies on disk is counted, erased subjects included: their judgments were made all the same.
# Of one period, or of each.
_SPENDING = """
WITH sent AS (
  SELECT period, item_id, inference_id, slice,
         max(judgments) AS judgments, min(judgments) AS drawn,
         slice NOT IN ('gold', 'adjudication', 'directed') AS is_new
  FROM stored.review_items
  WHERE workload_id = $workload AND ($period IS NULL OR period = $period)
  GROUP BY period, item_id, inference_id, slice
),
given AS (
  SELECT item_id, count(DISTINCT annotator) AS people, bool_and(kind = 'cant_tell') AS unsure
  FROM latest_annotations
  WHERE workload_id = $workload AND NOT deleted AND kind <> 'skipped' GROUP BY item_id
),
settled AS (
  SELECT period, inference_id FROM sent WHERE slice = 'adjudication'
  -- Everybody agreed that they cannot tell: no correction comes of it, and no dispute.
  UNION SELECT period, inference_id FROM sent JOIN given USING (item_id)
  WHERE given.unsure AND given.people >= sent.judgments
  UNION SELECT period, inference_id FROM sent JOIN latest_corrections AS c USING (inference_id)
  WHERE c.workload_id = $workload AND c.status IN ('accepted', 'proposed')
    -- A second judgment that was asked for later may still dispute what one person said.
    AND (sent.judgments = sent.drawn OR len(c.annotators) >= sent.judgments)
)
SELECT sent.period AS period,
       coalesce(sum(judgments), 0) AS sent,
       count(*) FILTER (judgments > 1 AND settled.inference_id IS NULL) AS held_back,
       count(*) FILTER (is_new) AS items,
       count(*) FILTER (is_new AND people > 0) AS answered,
       count(*) FILTER (is_new AND drawn > 1) AS drawn_twice,
       count(*) FILTER (is_new AND drawn > 1 AND people > 0) AS drawn_twice_answered,
       count(*) FILTER (is_new AND judgments > drawn) AS chosen
FROM sent LEFT JOIN given USING (item_id)
LEFT JOIN settled ON settled.period = sent.period AND settled.inference_id = sent.inference_id
GROUP BY sent.period
"""


@dataclass(frozen=True)
class SentItem:
    """An item with what the annotator may not see: the model's answer and the event's time.

    ``judgments_drawn`` were asked for when the batch was drawn; ``item.judgments`` are more where a
    second one was asked for since.
    """

    item: ReviewItem
    original_output: Any
    event_time: datetime
    judgments_drawn: int = 1

    @property
    def drawn_twice(self) -> bool:
        """Whether it was drawn at random for two people."""
        return self.judgments_drawn > 1

    @property
    def chosen_again(self) -> bool:
        """Whether a second judgment was asked for because the first one was in doubt."""
        return self.item.judgments > self.judgments_drawn


@dataclass(frozen=True)
class Spending:
    """Judgments of a period: asked for, and held back for what may come of them.

    ``held_back`` is for adjudications. ``twice`` counts the items behind the second judgments that
    are chosen when the first ones are given.
    """

    sent: int
    held_back: int
    twice: JudgedTwice

    def reserved(self, overlap: float) -> int:
        """Return what is held back for adjudications and for second judgments still to choose."""
        return self.held_back + CHOICE_COST * self.twice.later(overlap)


NOTHING_SPENT = Spending(sent=0, held_back=0, twice=JudgedTwice())


def item_rows(
    items: Iterable[ReviewItem],
    event_times: Mapping[str, datetime],
    original_outputs: Mapping[str, Any] = MappingProxyType({}),
) -> pa.Table:
    """Write items as rows of ``review_items``.

    Args:
        items: what people are asked.
        event_times: by inference id.
        original_outputs: answers that are asked about, by inference id; one that is missing is
            looked up among all answers whenever the item is read.
    """
    rows = []
    for item in items:
        original = original_outputs.get(item.inference_id)
        row = asdict(item) | {
            "model_output": _json(item.model_output),
            "original_output": _json(original),
            "event_time": event_times[item.inference_id],
        }
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=TABLES["review_items"].schema)


def _json(output: Any) -> str | None:
    return None if output is None else canonical_json(output)


def read_sent(lake: Lake, workload_id: str, items: Collection[str] | None = None) -> list[SentItem]:
    """Read every item that was ever chosen, or those with some ids, most urgent first."""
    ids = None if items is None else list(items)
    rows = lake.rows(_SENT, {"workload": workload_id, "items": ids})
    outputs = _outputs(lake, workload_id, rows)
    sent = []
    answer = cache(json.loads)  # most are given again and again
    for row in rows:
        original, event_time = row.pop("original_output"), row.pop("event_time")
        original = original or outputs.get(row["inference_id"]) or row["model_output"]
        original = None if original is None else answer(original)
        drawn = row.pop("judgments_drawn")
        sent.append(SentItem(_item(row, answer), original, event_time, drawn))
    return sent


def _outputs(lake: Lake, workload_id: str, rows: Iterable[Row]) -> dict[str, str]:
    ids = sorted({row["inference_id"] for row in rows if row["original_output"] is None})
    if not ids:
        return {}
    days = lake.event_days(workload_id, date.max, ids=ids)
    found = lake.rows(_OUTPUTS, {"workload": workload_id, "ids": ids}, event_days=days)
    return {row["inference_id"]: row["output"] for row in found}


def adjudicated(lake: Lake, workload_id: str, inference_ids: Iterable[str]) -> set[str]:
    """Return which of some answers an adjudicator was asked about."""
    rows = lake.rows(_ADJUDICATED, {"workload": workload_id, "ids": sorted(set(inference_ids))})
    return {row["inference_id"] for row in rows}


def read_batch(lake: Lake, workload_id: str, batch_id: str) -> list[ReviewItem]:
    """Read the items of a batch, most urgent first, without its adjudications."""
    rows = lake.rows(_BATCH, {"workload": workload_id, "batch": batch_id})
    return [_item(row) for row in rows]


def _item(row: Row, answer: Callable[[str], Any] = json.loads) -> ReviewItem:
    if row["model_output"] is not None:
        row["model_output"] = answer(row["model_output"])
    return ReviewItem(**row)


def spending(lake: Lake, workload_id: str, period: str) -> Spending:
    """Count the judgments that a period's batches cost so far."""
    return _spending(lake, workload_id, period).get(period, NOTHING_SPENT)


def spending_by_period(lake: Lake, workload_id: str) -> dict[str, Spending]:
    """Count those of every period that any item is charged to, by its name, in order."""
    return _spending(lake, workload_id, None)


def _spending(lake: Lake, workload_id: str, period: str | None) -> dict[str, Spending]:
    rows = lake.rows(_SPENDING, {"workload": workload_id, "period": period})
    spent = {}
    for row in sorted(rows, key=lambda row: str(row["period"])):
        name, sent, held_back = row.pop("period"), int(row.pop("sent")), int(row.pop("held_back"))
        spent[name] = Spending(sent, held_back, JudgedTwice(**row))
    return spent


def judgments_left_in(lake: Lake, workload: Workload, period: str) -> int:
    """Return the judgments that a period, by name, can still ask for."""
    used = spending(lake, workload.id, period)
    return max(0, workload.review.budget - used.sent - used.reserved(workload.review.overlap))
