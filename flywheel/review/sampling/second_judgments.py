"""Second judgments where the first one is in doubt, out of what the batches left for them.

An accepted answer that one person gave stays accepted until another one contradicts it; then a third
decides. A control item is judged again only where that was drawn at random: asking again where the
model was contradicted would correct people's errors in one direction, and bias its figure.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flywheel.lake.store import Lake
from flywheel.review.merging.error_counts import read_error_rates
from flywheel.review.merging.merge import SOURCE
from flywheel.review.sampling.budget import CHOICE_COST
from flywheel.review.sampling.doubt import ErrorRates, GivenAnswer, most_doubtful
from flywheel.review.sampling.presence import present_since
from flywheel.review.sampling.sent_items import NOTHING_SPENT, SentItem, Spending, read_sent
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["choose_second_judgments"]

# Undisputed items that one person answered and another one can judge, by period. Doubt goes by the
# champion's answer: of a disagreement it would check one side alone.
_SINGLE = """
WITH present AS (
  SELECT DISTINCT annotator FROM latest_annotations
  WHERE workload_id = $workload AND updated_at >= $since
), item AS (
  SELECT item_id, inference_id, first(period ORDER BY chosen_at) AS period FROM review_items
  WHERE workload_id = $workload
    AND slice NOT IN ('control', 'directed', 'disagreement', 'gold', 'adjudication')
  GROUP BY item_id, inference_id HAVING max(judgments) = 1
)
SELECT item.period, list(item_id) AS items
FROM item JOIN latest_corrections AS c ON c.correction_id = item_id
WHERE c.workload_id = $workload AND c.source = $source AND c.status = 'accepted'
  AND len(c.annotators) = 1
  AND EXISTS (SELECT 1 FROM present WHERE annotator <> c.annotators[1])
  AND item.inference_id NOT IN (SELECT unnest($disputed::VARCHAR[]))
  AND item.inference_id NOT IN (
    SELECT inference_id FROM review_items
    WHERE workload_id = $workload AND slice = 'adjudication')
GROUP BY item.period
"""
_ANSWERS = """
SELECT c.correction_id, c.annotators, c.label_id, c.output, c.original_output, item.confidence
FROM latest_corrections AS c JOIN (
  SELECT item_id, first(confidence ORDER BY chosen_at) AS confidence FROM review_items
  WHERE workload_id = $workload AND item_id IN (SELECT unnest($items::VARCHAR[]))
  GROUP BY item_id
) AS item ON item.item_id = c.correction_id
WHERE c.workload_id = $workload
"""


def choose_second_judgments(
    lake: Lake,
    workload: Workload,
    spent: Mapping[str, Spending],
    paid: Sequence[SentItem],
    now: datetime,
) -> list[SentItem]:
    """Choose the items that another person judges now, each charged to the period of its batch.

    Args:
        lake: what was sent and judged is read from it.
        workload: its overlap and its budget decide.
        spent: by every period, by its name.
        paid: disputes that are sent to adjudication at this moment and not written yet.
        now: stamped on the items.
    """
    if not workload.review.overlap:
        return []
    waiting = Counter(entry.item.period for entry in paid)
    chosen: list[SentItem] = []
    rates: ErrorRates | None = None
    for period, names in sorted(_single_answers(lake, workload, paid, now).items()):
        most = _room(workload, spent.get(period, NOTHING_SPENT), waiting[period])
        if most:
            rates = rates or read_error_rates(lake, workload)
            answers = _given_answers(lake, workload, names)
            doubts = {one.name: doubt for one, doubt in most_doubtful(answers, rates, most)}
            entries = {e.item.item_id: e for e in read_sent(lake, workload.id, doubts)}
            chosen += [_again(entries[name], doubt, now) for name, doubt in doubts.items()]
    return chosen


def _room(workload: Workload, used: Spending, waiting: int) -> int:
    policy = workload.review
    affordable = (policy.budget - used.sent - used.held_back - waiting) // CHOICE_COST
    return max(0, min(affordable, used.twice.now(policy.overlap)))


def _again(entry: SentItem, doubt: float, now: datetime) -> SentItem:
    item = replace(
        entry.item,
        judgments=entry.item.judgments + 1,
        reason=f"second judgment: the first one is wrong with a chance of {doubt:.2f}",
        score=round(doubt, 4),
        chosen_at=now,
    )
    return replace(entry, item=item)


def _single_answers(
    lake: Lake, workload: Workload, paid: Sequence[SentItem], now: datetime
) -> dict[str, list[str]]:
    # Undisputed items that one person answered and another one can judge, by period.
    rows = lake.rows(
        _SINGLE,
        {
            "workload": workload.id,
            "source": SOURCE,
            "since": present_since(now),
            "disputed": [entry.item.inference_id for entry in paid],
        },
    )
    return {row["period"]: row["items"] for row in rows}


def _given_answers(lake: Lake, workload: Workload, names: Sequence[str]) -> list[GivenAnswer]:
    mapping = AnswerMapping(workload)
    rows = lake.rows(_ANSWERS, {"workload": workload.id, "items": list(names)})
    return [_given(mapping, row) for row in rows]


def _given(mapping: AnswerMapping, row: Mapping[str, Any]) -> GivenAnswer:
    model_output, answer = row["original_output"], json.loads(row["output"])
    return GivenAnswer(
        name=row["correction_id"],
        annotator=row["annotators"][0],
        label_id=row["label_id"],
        with_model=None if model_output is None else mapping.same(json.loads(model_output), answer),
        confidence=row["confidence"],
    )
