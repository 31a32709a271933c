"""Accepted answers that contradict each other: one input, two truths, so a person decides again."""

import json
from collections import defaultdict
from collections.abc import Sequence

from flywheel.lake.store import Lake
from flywheel.review.sampling.sent_items import SentItem
from flywheel.similarity.normal_form import normalize
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["conflicting_items"]

_ACCEPTED = """
SELECT correction_id, input, output FROM latest_corrections
WHERE workload_id = $workload AND status = 'accepted' AND input IS NOT NULL
"""


def conflicting_items(lake: Lake, workload: Workload, sent: Sequence[SentItem]) -> list[SentItem]:
    """Return the items in a conflict that no adjudicator has been asked about.

    Rows that never were an item (the seed) cannot be asked about, and control items are left as
    they are: asking again about some of them would bias their figure.
    """
    if workload.form.is_text:  # one question may have several good texts
        return []
    mapping = AnswerMapping(workload)
    answers: dict[str, set[str]] = defaultdict(set)
    members: dict[str, list[str]] = defaultdict(list)
    for row in lake.rows(_ACCEPTED, {"workload": workload.id}):
        text = normalize(row["input"])
        answers[text].add(mapping.key(json.loads(row["output"])))
        members[text].append(row["correction_id"])
    disputed = {
        name
        for text, given_answers in answers.items()
        if len(given_answers) > 1
        for name in members[text]
    }
    adjudicated = {entry.item.inference_id for entry in sent if entry.item.slice == "adjudication"}
    return [
        entry
        for entry in sent
        if entry.item.item_id in disputed
        and entry.item.slice not in ("control", "directed", "adjudication")
        and entry.item.inference_id not in adjudicated
    ]
