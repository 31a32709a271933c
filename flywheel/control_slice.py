"""The unbiased quality figure: how often answers drawn at random agreed with people.

Everything that moves by itself (cause of drift, trigger, figures before and after a promotion)
reads it from here; drawing the slice and asking people is the review stage's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt
from statistics import NormalDist
from typing import Any

from flywheel.label_mapping import AnswerMapping
from flywheel.lake.store import Lake
from flywheel.workload import Workload

__all__ = ["ControlAccuracy", "control_accuracy", "wilson_interval"]

_CONTROL = """
SELECT r.item_id, r.inclusion_probability, r.release, c.status, c.output,
       coalesce(i.output, c.original_output) AS original
FROM review_items r
LEFT JOIN first_inferences i
  ON i.workload_id = r.workload_id AND i.inference_id = r.inference_id
LEFT JOIN latest_corrections c
  ON c.workload_id = r.workload_id AND c.correction_id = r.item_id
WHERE r.workload_id = $workload AND r.slice = 'control'
  AND r.event_time >= $start AND r.event_time < $end
QUALIFY row_number() OVER (PARTITION BY r.item_id ORDER BY r.chosen_at) = 1
ORDER BY r.item_id
"""


@dataclass(frozen=True)
class ControlAccuracy:
    """Accuracy of production answers with its interval, and what it rests on.

    ``accuracy`` is None, with a ``reason``, where no answer was judged. ``judged`` is n;
    ``undecided`` were disputed or left open by people who could not tell or did not answer.
    """

    accuracy: float | None
    lower: float | None
    upper: float | None
    items: int
    judged: int
    correct: int
    undecided: int
    reason: str = ""
    by_release: dict[str, "ControlAccuracy"] = field(default_factory=dict)


def control_accuracy(
    lake: Lake,
    workload: Workload,
    start: datetime,
    end: datetime,
    *,
    confidence: float = 0.95,
) -> ControlAccuracy:
    """Estimate the accuracy of the answers given in [start, end), over all and by release.

    Each judged answer weighs one over its inclusion probability (the ratio form of Horvitz and
    Thompson's estimator); the interval is Wilson's, at Kish's effective number of answers. An
    answer to which people gave a category that did not exist counts as wrong.
    """
    rows = lake.rows(_CONTROL, {"workload": workload.id, "start": start, "end": end})
    mapping = AnswerMapping(workload)
    cases = [(row["release"], _case(mapping, row)) for row in rows]
    releases = sorted({release for release, _ in cases})
    by_release = {
        name: _estimate([case for release, case in cases if release == name], confidence)
        for name in releases
    }
    return _estimate([case for _, case in cases], confidence, by_release)


def wilson_interval(share: float, cases: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a share observed in ``cases`` (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases) * sqrt(share * (1 - share) / cases + (z / (2 * cases)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


_Case = tuple[float, bool | None]  # weight; right, wrong or not decided


def _case(mapping: AnswerMapping, row: dict[str, Any]) -> _Case:
    weight = 1 / row["inclusion_probability"]
    if row["status"] == "proposed":
        return weight, False
    if row["status"] != "accepted" or row["original"] is None:
        return weight, None
    original, truth = json.loads(row["original"]), json.loads(row["output"])
    return weight, mapping.key(original) == mapping.key(truth)


def _estimate(
    cases: Sequence[_Case],
    confidence: float,
    by_release: dict[str, ControlAccuracy] | None = None,
) -> ControlAccuracy:
    judged = [(weight, right) for weight, right in cases if right is not None]
    undecided = len(cases) - len(judged)
    parts = by_release or {}
    if not judged:
        reason = "nobody has judged the control items yet" if cases else "no control item was drawn"
        return ControlAccuracy(
            None, None, None, len(cases), 0, 0, undecided, reason, by_release=parts
        )
    whole = sum(weight for weight, _ in judged)
    share = sum(weight for weight, right in judged if right) / whole
    effective = whole**2 / sum(weight**2 for weight, _ in judged)
    lower, upper = wilson_interval(share, effective, confidence)
    correct = sum(1 for _, right in judged if right)
    return ControlAccuracy(
        share, lower, upper, len(cases), len(judged), correct, undecided, by_release=parts
    )
