"""Gold items: answers that people agreed on are asked again, to measure those who answer.

What is known was decided by two people or more, an adjudicator among them where they disagreed, and
is asked of a person who has not seen it. It is asked blind and looks like an item of the control
slice. Its judgments say something about the annotator alone: no correction comes of them and nothing
is trained on them. Label Studio gives an item to the first annotator: where that is one of those who
decided it, it measures no one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flywheel.lake.store import Lake
from flywheel.review.sampling.budget import part_of
from flywheel.review.sampling.draws import blind_priority, draw
from flywheel.review.sampling.item_ids import new_item_id
from flywheel.review.sampling.presence import present_since
from flywheel.review.sampling.sent_items import SentItem, read_sent
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = [
    "KnownAnswer",
    "choose_gold",
    "gold_beside",
    "gold_budget",
    "read_known_answers",
]

# What a new item can cost: two judgments and an adjudication.
_NEW_ITEM = 3

# Known under another taxonomy may be wrong under this one. A person must exist who has not seen it,
# and it is neither being asked again nor in dispute. A label that was checked is one against one.
_KNOWN = """
WITH given AS (
  SELECT item_id, inference_id, annotator, updated_at FROM latest_annotations
  WHERE workload_id = $workload AND NOT deleted
),
present AS (SELECT DISTINCT annotator FROM given WHERE updated_at >= $since)
SELECT c.correction_id, c.output,
  (SELECT count(DISTINCT item_id) FROM review_items AS gold
   WHERE gold.workload_id = $workload AND gold.slice = 'gold'
     AND gold.inference_id = c.inference_id) AS asked
FROM latest_corrections AS c
WHERE c.workload_id = $workload AND c.source = 'review' AND c.status = 'accepted'
  AND len(c.annotators) > 1 AND c.taxonomy_version IS NOT DISTINCT FROM $taxonomy
  AND EXISTS (
    SELECT 1 FROM present WHERE annotator NOT IN (
      SELECT annotator FROM given WHERE given.inference_id = c.inference_id))
  AND NOT EXISTS (
    SELECT 1 FROM review_items AS again
    WHERE again.workload_id = $workload AND again.slice IN ('gold', 'adjudication')
      AND again.inference_id = c.inference_id AND again.item_id NOT IN (SELECT item_id FROM given))
  AND NOT EXISTS (
    SELECT 1 FROM label_checks AS checked
    WHERE checked.workload_id = $workload AND checked.inference_id = c.inference_id)
ORDER BY c.correction_id
"""


@dataclass(frozen=True)
class KnownAnswer:
    """An item that people decided, and how often it was asked again."""

    entry: SentItem
    asked: int


def read_known_answers(lake: Lake, workload: Workload, now: datetime) -> list[KnownAnswer]:
    """Read the decided items that some annotator of the last 90 days has not met."""
    rows = lake.rows(
        _KNOWN,
        {
            "workload": workload.id,
            "since": present_since(now),
            "taxonomy": workload.taxonomy_version,
        },
    )
    if not rows:
        return []
    mapping = AnswerMapping(workload)
    ids = [row["correction_id"] for row in rows]
    sent = {entry.item.item_id: entry for entry in read_sent(lake, workload.id, ids)}
    return [
        KnownAnswer(sent[row["correction_id"]], row["asked"])
        for row in rows
        if row["correction_id"] in sent and mapping.present(json.loads(row["output"])).usable
    ]


def gold_budget(workload: Workload, batch_id: str, budget: int) -> int:
    """Return how many known answers a batch of so many judgments can ask.

    Enough is left for something new.
    """
    requested = _part(workload, batch_id, budget, workload.review.gold)
    return max(0, min(requested, budget - _NEW_ITEM))


def gold_beside(workload: Workload, batch_id: str, judgments: int) -> int:
    """Return how many known answers stand beside so many judgments of what is new.

    A week with little traffic leaves most of its budget unspent.
    """
    share = workload.review.gold
    return _part(workload, batch_id, judgments, share / (1 - share))


def _part(workload: Workload, batch_id: str, judgments: int, share: float) -> int:
    return part_of(judgments, share, draw(workload.seed, workload.id, batch_id, "gold"))


def choose_gold(
    workload: Workload,
    known_answers: Sequence[KnownAnswer],
    most: int,
    *,
    batch_id: str,
    period: str,
    now: datetime,
) -> list[SentItem]:
    """Choose which known answers a batch asks again: those asked least often first, then by draw.

    Args:
        workload: its seed draws.
        known_answers: what can be asked.
        most: how many are asked at most.
        batch_id: name of the batch; another batch draws others.
        period: the period that pays.
        now: stamped on the items.
    """
    drawn = sorted(
        (answer.asked, draw(workload.seed, batch_id, "gold", answer.entry.item.item_id), number)
        for number, answer in enumerate(known_answers)
    )
    return [
        _gold_item(known_answers[number].entry, batch_id, period, score, now)
        for _, score, number in drawn[:most]
    ]


def _gold_item(
    entry: SentItem, batch_id: str, period: str, score: float, now: datetime
) -> SentItem:
    # Its name must not give it away: the annotator's page shows it.
    item_id = new_item_id(entry.item.workload_id, batch_id, "gold", entry.item.inference_id)
    item = replace(
        entry.item,
        item_id=item_id,
        batch_id=batch_id,
        slice="gold",
        reason="the answer is known: measures who answers",
        score=round(score, 4),
        inclusion_probability=None,
        model_output=None,
        judgments=1,
        priority=blind_priority(entry.item.workload_id, batch_id, entry.item.inference_id),
        chosen_at=now,
        period=period,
        batch_kind="window",
        cycle=None,
        attempt=None,
    )
    return replace(entry, item=item)
