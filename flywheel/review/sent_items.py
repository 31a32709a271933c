"""Review items as the lake keeps them: to rows and back, and what a period has spent on them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from flywheel.answers import canonical_json
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.review_queue import ReviewItem
from flywheel.workload import Workload

__all__ = [
    "SentItem",
    "Spending",
    "item_rows",
    "judgments_left_in",
    "read_batch",
    "read_sent",
    "spending",
]

_SENT = """
SELECT r.*, coalesce(i.output, r.model_output) AS original_output
FROM review_items r
LEFT JOIN first_inferences i
  ON i.workload_id = r.workload_id AND i.inference_id = r.inference_id
WHERE r.workload_id = $workload
QUALIFY row_number() OVER (PARTITION BY r.item_id ORDER BY r.chosen_at) = 1
ORDER BY r.priority DESC, r.item_id
"""

_BATCH = """
SELECT * EXCLUDE (event_time) FROM review_items
WHERE workload_id = $workload AND batch_id = $batch AND slice <> 'adjudication'
QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY chosen_at) = 1
ORDER BY priority DESC, item_id
"""

# What lies on disk is counted, erased subjects included: their judgments were made all the same.
_SPENDING = """
WITH sent AS (
  SELECT DISTINCT item_id, inference_id, slice, judgments FROM stored.review_items
  WHERE workload_id = $workload AND starts_with(batch_id, $period || '-')
),
unsure AS ( -- everybody agreed that they cannot tell: no correction comes of it, and no dispute
  SELECT sent.inference_id FROM sent JOIN latest_annotations AS given USING (item_id)
  WHERE given.workload_id = $workload AND NOT given.deleted AND given.kind <> 'skipped'
  GROUP BY sent.item_id, sent.inference_id, sent.judgments
  HAVING bool_and(given.kind = 'cant_tell')
     AND count(DISTINCT given.annotator) >= sent.judgments
),
settled AS (
  SELECT inference_id FROM sent WHERE slice = 'adjudication'
  UNION SELECT inference_id FROM unsure
  UNION SELECT inference_id FROM latest_corrections
  WHERE workload_id = $workload AND status IN ('accepted', 'proposed')
    AND inference_id IS NOT NULL -- the seed's have none, and nothing is outside of a list with NULL
)
SELECT coalesce(sum(judgments), 0) AS sent,
       count(*) FILTER (
         judgments > 1 AND inference_id NOT IN (SELECT inference_id FROM settled)
       ) AS held_back
FROM sent
"""


@dataclass(frozen=True)
class SentItem:
    """An item with what the annotator may not see: the model's answer and the event's time."""

    item: ReviewItem
    original_output: Any
    event_time: datetime


@dataclass(frozen=True)
class Spending:
    """Judgments of a period: asked for, and held back for adjudications that may come."""

    sent: int
    held_back: int


def item_rows(items: Iterable[ReviewItem], event_times: Mapping[str, datetime]) -> pa.Table:
    """Write items as rows of ``review_items``; ``event_times`` are by inference id."""
    rows = []
    for item in items:
        output = None if item.model_output is None else canonical_json(item.model_output)
        row = asdict(item) | {"model_output": output, "event_time": event_times[item.inference_id]}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=TABLES["review_items"].schema)


def read_sent(lake: Lake, workload_id: str) -> list[SentItem]:
    """Read every item that was ever chosen, most urgent first."""
    found = []
    for row in lake.rows(_SENT, {"workload": workload_id}):
        original, event_time = row.pop("original_output"), row.pop("event_time")
        original = None if original is None else json.loads(original)
        found.append(SentItem(_item(row), original, event_time))
    return found


def read_batch(lake: Lake, workload_id: str, batch_id: str) -> list[ReviewItem]:
    """Read the items of a batch, most urgent first, without its adjudications."""
    rows = lake.rows(_BATCH, {"workload": workload_id, "batch": batch_id})
    return [_item(row) for row in rows]


def _item(row: dict[str, Any]) -> ReviewItem:
    shown = row["model_output"]
    return ReviewItem(**row | {"model_output": None if shown is None else json.loads(shown)})


def spending(lake: Lake, workload_id: str, period: str) -> Spending:
    """Count the judgments that a period's batches cost so far."""
    row = lake.rows(_SPENDING, {"workload": workload_id, "period": period})[0]
    return Spending(int(row["sent"]), int(row["held_back"]))


def judgments_left_in(lake: Lake, workload: Workload, period: str) -> int:
    """Return the judgments that a period, by name, can still ask for."""
    used = spending(lake, workload.id, period)
    return max(0, workload.review.budget - used.sent - used.held_back)
