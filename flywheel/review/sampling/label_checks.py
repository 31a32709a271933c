"""Accepted labels that are probably wrong go to adjudication, a small share of the budget.

The least credible ones are asked first, of a person who did not give them; those that two people
agreed on are not asked, since one person would overrule two. What is measured with is
neither asked about nor fitted on: control items that are not trained on, golden, holdout and
must-not-lose cases. The seed is fitted on; it was never an item, so that no one can be asked.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import floor

from flywheel.lake.store import Lake
from flywheel.lake.views import label_checks_batch
from flywheel.ports.review_queue import ReviewItem
from flywheel.review.merging.merge import adjudication_of
from flywheel.review.sampling.label_errors import doubtful_labels
from flywheel.review.sampling.presence import present_since
from flywheel.review.sampling.sent_items import SentItem, adjudicated, read_sent, spending
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload
from flywheel.workload.periods import period_name

__all__ = ["allowed_checks", "choose_checks"]

# The newest are enough to judge each other by, and are fitted in seconds.
_NEWEST = 5000

_ACCEPTED = """
WITH present AS (
  SELECT DISTINCT annotator FROM latest_annotations
  WHERE workload_id = $workload AND NOT deleted AND updated_at >= $since
)
SELECT c.correction_id, c.input, c.output, len(c.annotators) = 1 AND EXISTS (
    SELECT 1 FROM present WHERE NOT list_contains(c.annotators, annotator)
  ) AS can_be_checked
FROM latest_corrections AS c
WHERE c.workload_id = $workload AND c.status = 'accepted' AND c.input IS NOT NULL
  AND coalesce(c.slice, '') NOT IN ('control', 'directed')
  AND c.correction_id NOT IN (
    SELECT correction_id FROM dataset_rows
    WHERE workload_id = $workload AND split IN ('golden', 'holdout', 'must_not_lose')
      AND correction_id IS NOT NULL)
ORDER BY c.accepted_at DESC, c.correction_id LIMIT $newest
"""

_CHECKED = """
SELECT count(DISTINCT item_id) AS checks FROM stored.review_items
WHERE workload_id = $workload AND batch_id = $batch
"""


def allowed_checks(share: float, *, budget: int, sent: int, held_back: int, checked: int) -> int:
    """Return how many labels may be checked now.

    Args:
        share: of the judgments sent so far, the most that checks may be.
        budget: judgments of the period.
        sent: judgments asked for in the period, checks included.
        held_back: judgments that disputes and second judgments may still need.
        checked: checks asked for in the period.
    """
    return max(0, min(floor(share * sent) - checked, budget - sent - held_back))


def choose_checks(lake: Lake, workload: Workload, now: datetime) -> list[SentItem]:
    """Choose the labels to check now, as the items that ask for it.

    They are charged to the period of ``now``, in a batch of their own.
    """
    period = period_name(workload.cadence, now, workload.timezone)
    room = _room(lake, workload, period)
    if not room or workload.taxonomy is None:
        return []
    mapping = AnswerMapping(workload)
    rows = lake.rows(
        _ACCEPTED, {"workload": workload.id, "since": present_since(now), "newest": _NEWEST}
    )
    if not any(row["can_be_checked"] for row in rows):
        return []
    answers = [mapping.present(json.loads(row["output"])) for row in rows]
    labeled = [
        (row, answer.label_id)
        for row, answer in zip(rows, answers, strict=True)
        if answer.usable and answer.label_id is not None
    ]
    doubtful = doubtful_labels(
        [row["input"] for row, _ in labeled], [label for _, label in labeled], seed=workload.seed
    )
    chosen = [labeled[doubt.position][0] for doubt in doubtful]
    names = [row["correction_id"] for row in chosen if row["can_be_checked"]]
    roots = _open_roots(lake, workload, names)
    entries = [roots[name] for name in names if name in roots][:room]
    return [replace(entry, item=_check(entry, period, now), judgments_drawn=1) for entry in entries]


def _room(lake: Lake, workload: Workload, period: str) -> int:
    used = spending(lake, workload.id, period)
    parameters = {"workload": workload.id, "batch": label_checks_batch(period)}
    return allowed_checks(
        workload.review.label_checks,
        budget=workload.review.budget,
        sent=used.sent,
        held_back=used.reserved(workload.review.overlap),
        checked=int(lake.rows(_CHECKED, parameters)[0]["checks"]),
    )


def _open_roots(lake: Lake, workload: Workload, names: Sequence[str]) -> dict[str, SentItem]:
    # One adjudication an item: what was decided by a third person is not asked again, and what is
    # judged twice is not checked besides.
    sent = read_sent(lake, workload.id, names) if names else []
    decided = adjudicated(lake, workload.id, [entry.item.inference_id for entry in sent])
    return {
        entry.item.item_id: entry
        for entry in sent
        if entry.item.makes_correction
        and not entry.chosen_again
        and entry.item.inference_id not in decided
    }


def _check(entry: SentItem, period: str, now: datetime) -> ReviewItem:
    # Neither the accepted label nor the likely one is shown: the check is a judgment of its own.
    return replace(
        adjudication_of(entry, now),
        batch_id=label_checks_batch(period),
        period=period,
        batch_kind="labels",
        cycle=None,
        attempt=None,
        reason="the accepted label is unusual for such a text: decide again",
        model_output=None,
        confidence=None,
    )
