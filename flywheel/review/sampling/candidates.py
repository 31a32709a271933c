"""Answers that could be reviewed, as the lake knows them, and what clients said about them."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flywheel.io.records import Row
from flywheel.lake.store import Lake
from flywheel.review.sampling.candidate_query import CandidateQuery

__all__ = [
    "Candidate",
    "Complaint",
    "current_complaints",
    "flag_of",
    "known_texts",
    "read_candidates",
]

_GOOD = 0.5

_FEEDBACK = """
SELECT inference_id, kind, value, least("timestamp", landed_at) AS given_at FROM feedback
WHERE workload_id = $workload AND least("timestamp", landed_at) < $end AND value IS NOT NULL
ORDER BY given_at, inference_id, feedback_id
"""

_SAME_TEXT = """
SELECT DISTINCT input, output FROM answered_inferences
WHERE workload_id = $workload AND release IN (SELECT unnest($releases))
  AND input IN (SELECT unnest($texts)) AND error IS NULL AND output IS NOT NULL
"""


@dataclass(frozen=True)
class Candidate:
    """One production answer.

    ``in_window`` answers are the window's frame, from which the control slice is drawn.
    ``searchable`` ones lie in the window and come from a release that answers now: they may be
    asked as uncertain or novel. The others are here because a client complained; ``flag`` is the
    complaint and its weight, ``flagged_at`` when it was made. ``times`` counts the unsure answers to
    the same text that it stands for, where a large window was thinned.
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
    flagged_at: datetime | None = None
    searchable: bool = True
    times: int = 1


@dataclass(frozen=True)
class Complaint:
    """The gravest complaint about an answer, and when the newest was made."""

    reason: str
    weight: float
    given_at: datetime


def flag_of(kind: str, value: Any, output: Any) -> tuple[str, float] | None:
    """Say why a piece of feedback asks for a look, and how strongly; None where it does not."""
    if kind == "boolean" and value is False:
        return "client marked it wrong", 1.0
    if kind == "demonstration" and value != output:
        return "client gave another answer", 1.0
    if kind == "float" and isinstance(value, int | float) and value < _GOOD:
        # The scale is 0 to 1; what is rated below it is as bad as can be.
        rating = max(float(value), 0.0)
        return f"client rated it {rating:.2f}", 1.0 - rating
    if kind == "comment" and value:
        return "client commented on it", 0.5
    return None


def read_candidates(
    query: CandidateQuery,
    *,
    answering: Collection[str] | None = None,
    complaints_expire: bool = True,
    ids: Collection[str] | None = None,
) -> list[Candidate]:
    """Read the answers that a window may ask about.

    Args:
        query: which answers.
        answering: releases that answer now; None takes every release, and an answer whose release
            is not known is taken as theirs.
        complaints_expire: drop a complaint about another release's answer, unless a release that
            answers now gave the same answer to the same text.
        ids: of these alone.
    """
    lake, workload_id, window = query.lake, query.workload_id, query.window
    rows = query.rows(ids)
    outputs = {row["inference_id"]: json.loads(row["output"]) for row in rows}
    complaints = _complaints(lake, workload_id, window.end, outputs)
    candidates = []
    for row in rows:
        complaint = complaints.get(row["inference_id"])
        current = answering is None or row["release"] is None or row["release"] in answering
        values = row | {
            "output": outputs[row["inference_id"]],
            "searchable": bool(row["searchable"]) and current,
            "flag": complaint and (complaint.reason, complaint.weight),
            "flagged_at": complaint and complaint.given_at,
        }
        candidates.append(Candidate(**values))
    if answering is not None and complaints_expire:
        candidates = _without_expired(lake, workload_id, candidates, answering)
    return [one for one in candidates if one.in_window or one.searchable or one.flag is not None]


def _complaints(lake: Lake, workload_id: str, end: datetime, outputs: Row) -> dict[str, Complaint]:
    complaints: dict[str, Complaint] = {}
    for row in lake.rows(_FEEDBACK, {"workload": workload_id, "end": end}):
        key = row["inference_id"]
        if key not in outputs:
            continue
        flag = flag_of(row["kind"], json.loads(row["value"]), outputs[key])
        if flag is None:
            continue
        before = complaints.get(key)
        if before is not None and before.weight >= flag[1]:
            flag = before.reason, before.weight
        complaints[key] = Complaint(*flag, row["given_at"])
    return complaints


def _without_expired(
    lake: Lake, workload_id: str, candidates: list[Candidate], answering: Collection[str]
) -> list[Candidate]:
    texts = {c.input for c in candidates if c.flag is not None and not _is_current(c, answering)}
    if not texts:
        return candidates
    rows = lake.rows(
        _SAME_TEXT,
        {"workload": workload_id, "releases": sorted(answering), "texts": sorted(texts)},
    )
    same = [(row["input"], json.loads(row["output"])) for row in rows]
    return current_complaints(candidates, answering, same)


def current_complaints(
    candidates: Iterable[Candidate],
    answering: Collection[str],
    same: Iterable[tuple[str, Any]],
) -> list[Candidate]:
    """Drop the complaints about releases that answer no more.

    A complaint stays where one that does gave the same answer to the same text.

    Args:
        candidates: answers with and without a complaint.
        answering: releases that answer now.
        same: text and answer of what those releases gave.
    """
    feedback: dict[str, list[Any]] = {}
    for text, output in same:
        feedback.setdefault(text, []).append(output)
    return [
        candidate
        if candidate.flag is None
        or _is_current(candidate, answering)
        or candidate.output in feedback.get(candidate.input, ())
        else replace(candidate, flag=None, flagged_at=None)
        for candidate in candidates
    ]


def _is_current(candidate: Candidate, answering: Collection[str]) -> bool:
    # An imported log may not say which release answered.
    return candidate.release is None or candidate.release in answering


def known_texts(lake: Lake, workload_id: str) -> list[str]:
    """Return every input that people have judged or been asked about, the seed included."""
    rows = lake.rows(
        "SELECT input FROM latest_corrections WHERE workload_id = $workload "
        "UNION SELECT input FROM review_items WHERE workload_id = $workload ORDER BY input",
        {"workload": workload_id},
    )
    return [row["input"] for row in rows if row["input"]]
