"""Accepted answers that contradict each other: one input, two truths, so a person decides again."""

import hashlib
import json

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.lake.store import Lake
from flywheel.lake.views import LATEST_CORRECTION
from flywheel.review.merging.kept_rows import KeptRows
from flywheel.review.sampling.sent_items import SentItem, adjudicated, read_sent
from flywheel.similarity.normal_form import input_hash
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["conflicting_items"]

_ACCEPTED = """
SELECT correction_id, hash(correction_id, version, accepted_at, output) AS fingerprint
FROM latest_corrections
WHERE workload_id = $workload AND status = 'accepted' AND input IS NOT NULL
"""
_ANSWERS = f"""
SELECT correction_id, input, output FROM corrections
WHERE workload_id = $workload AND correction_id IN (SELECT unnest($ids::VARCHAR[]))
{LATEST_CORRECTION}
"""  # noqa: S608 - constants of the project
_COLUMNS = {"correction_id": pa.string(), "text": pa.string(), "answer": pa.string()}


def conflicting_items(lake: Lake, workload: Workload) -> list[SentItem]:
    """Return the items in a conflict that no adjudicator has been asked about.

    Rows that never were an item (the seed) cannot be asked about. Digests of texts and answers are
    kept, so that only what was accepted since the last call is read.
    """
    if workload.form.is_text:  # one question may have several good texts
        return []
    accepted = _accepted_answers(lake, workload)
    of_text = accepted.group_by("text").aggregate([("answer", "count_distinct")])
    torn = of_text.filter(pc.greater(of_text["answer_count_distinct"], 1))["text"]
    disputed = accepted.filter(pc.is_in(accepted["text"], torn.combine_chunks()))
    if not disputed.num_rows:
        return []
    sent = read_sent(lake, workload.id, disputed["correction_id"].to_pylist())
    decided = adjudicated(lake, workload.id, [entry.item.inference_id for entry in sent])
    return [
        entry
        for entry in sent
        # Asking again about some of the control items would bias their figure.
        if entry.item.slice not in ("control", "directed", "adjudication")
        and entry.item.inference_id not in decided
    ]


def _accepted_answers(lake: Lake, workload: Workload) -> pa.Table:
    kept = KeptRows(lake, workload, "accepted", _COLUMNS)
    holding, fresh = kept.read(lake.query(_ACCEPTED, {"workload": workload.id}))
    if not fresh.num_rows:
        return kept.write(holding, [])
    fingerprints = dict(
        zip(fresh["correction_id"].to_pylist(), fresh["fingerprint"].to_pylist(), strict=True)
    )
    mapping = AnswerMapping(workload)
    rows = lake.rows(_ANSWERS, {"workload": workload.id, "ids": list(fingerprints)})
    made = [
        {
            "fingerprint": fingerprints[row["correction_id"]],
            "correction_id": row["correction_id"],
            "text": input_hash(row["input"]),
            "answer": hashlib.sha256(mapping.key(json.loads(row["output"])).encode()).hexdigest(),
        }
        for row in rows
    ]
    return kept.write(holding, made)
