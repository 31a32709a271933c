"""Answers that could be reviewed, as the lake knows them, and what clients said about them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flywheel.lake.store import Lake

__all__ = ["Candidate", "flag_of", "known_texts", "read_candidates"]

_GOOD = 0.5

_CANDIDATES = """
WITH last AS (
  SELECT max(chosen_at) AS at FROM review_items
  WHERE workload_id = $workload AND slice <> 'adjudication'
),
flagged AS (
  SELECT DISTINCT inference_id FROM feedback WHERE workload_id = $workload AND timestamp < $end
)
SELECT i.inference_id, i.input, i.output, i.confidence, i.margin, i.release, i.subject_id,
       i.timestamp AS event_time,
       (i.timestamp >= $start OR i.landed_at > last.at) AS in_window
FROM first_inferences i, last
WHERE i.workload_id = $workload AND i.timestamp < $end
  AND i.error IS NULL AND i.output IS NOT NULL AND i.output <> 'null' AND i.input IS NOT NULL
  AND coalesce(i.route, 'champion') <> 'shadow'
  AND (i.timestamp >= $start OR i.landed_at > last.at
       OR i.inference_id IN (SELECT inference_id FROM flagged))
  AND i.inference_id NOT IN (
    SELECT inference_id FROM review_items WHERE workload_id = $workload
    UNION SELECT inference_id FROM corrections
      WHERE workload_id = $workload AND inference_id IS NOT NULL)
ORDER BY i.inference_id
"""

_FEEDBACK = """
SELECT inference_id, kind, value FROM feedback
WHERE workload_id = $workload AND timestamp < $end ORDER BY inference_id, timestamp, feedback_id
"""


@dataclass(frozen=True)
class Candidate:
    """One production answer.

    ``in_window`` answers are those that the control slice is drawn from; the others are here
    because a client complained later. ``flag`` is the complaint and its weight.
    """

    inference_id: str
    input: str
    output: Any
    confidence: float | None
    release: str
    subject_id: str | None
    event_time: datetime
    in_window: bool = True
    flag: tuple[str, float] | None = None
    margin: float | None = None


def flag_of(kind: str, value: Any, output: Any) -> tuple[str, float] | None:
    """Say why a piece of feedback asks for a look, and how strongly; None where it does not."""
    if kind == "boolean" and value is False:
        return "client marked it wrong", 1.0
    if kind == "demonstration" and value != output:
        return "client gave another answer", 1.0
    if kind == "float" and isinstance(value, int | float) and value < _GOOD:
        return f"client rated it {value:.2f}", 1.0 - float(value)
    if kind == "comment" and value:
        return "client commented on it", 0.5
    return None


def read_candidates(
    lake: Lake, workload_id: str, window_start: datetime, window_end: datetime
) -> list[Candidate]:
    """Read the answers of a window that were never sent to review.

    Answers that landed after their own window had been sampled count as part of this one. Shadow
    answers, errors and answers that did not parse are left out.
    """
    asked = {"workload": workload_id, "start": window_start, "end": window_end}
    rows = lake.rows(_CANDIDATES, asked)
    outputs = {row["inference_id"]: json.loads(row["output"]) for row in rows}
    flags: dict[str, tuple[str, float]] = {}
    for row in lake.rows(_FEEDBACK, {"workload": workload_id, "end": window_end}):
        key = row["inference_id"]
        if key not in outputs:
            continue
        flag = flag_of(row["kind"], json.loads(row["value"]), outputs[key])
        if flag is not None and flag[1] > flags.get(key, ("", 0.0))[1]:
            flags[key] = flag
    found = []
    for row in rows:
        key = row["inference_id"]
        values = row | {"output": outputs[key], "in_window": bool(row["in_window"])}
        if values["in_window"] or key in flags:
            found.append(Candidate(**values, flag=flags.get(key)))
    return found


def known_texts(lake: Lake, workload_id: str) -> list[str]:
    """Return every input that people have judged or been asked about, the seed included."""
    rows = lake.rows(
        "SELECT input FROM latest_corrections WHERE workload_id = $workload "
        "UNION SELECT input FROM review_items WHERE workload_id = $workload ORDER BY input",
        {"workload": workload_id},
    )
    return [row["input"] for row in rows if row["input"]]
