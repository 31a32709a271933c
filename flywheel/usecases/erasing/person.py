"""`Person`: whom an erasure concerns, and everything by which their texts are found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flywheel.errors import RefusedError
from flywheel.events.foreign import hash_subject
from flywheel.events.subject_spelling import SubjectSpellings
from flywheel.lake.erasure import Position
from flywheel.lake.store import Lake

__all__ = ["Person", "find_person", "subject_ids"]

_HASH_DIGITS = 32
_TEXTS = ("inferences", "corrections", "review_items", "evaluations", "shadow_pairs")
_TABLES = (*_TEXTS, "dataset_rows", "judge_verdicts", "backfill_answers", "text_vectors")
_THEIRS = "list_contains($subjects, subject_id) AND ($workload IS NULL OR workload_id = $workload)"


@dataclass(frozen=True)
class Person:
    """One person in the lake.

    Attributes:
        subject_ids: ids that rows name the person by: the hash, and the id itself where a client
            sent it so; the first one names the erasure.
        raw_id: the id as it was given, which is stored nowhere; None: the hash was given.
        workload_id: the one workload that is concerned; None: all of them.
        calls: inference ids by workload.
        corrections: correction ids.
        positions: where the person's events stand in the log.
        texts: what the person wrote.
        rows: how many rows hold something of the person, by table.
    """

    subject_ids: tuple[str, ...]
    raw_id: str | None
    workload_id: str | None
    calls: Mapping[str, frozenset[str]]
    corrections: frozenset[str]
    positions: frozenset[Position]
    texts: frozenset[str]
    rows: Mapping[str, int]

    @property
    def all_calls(self) -> frozenset[str]:
        """Inference ids of all workloads."""
        return frozenset(one for ids in self.calls.values() for one in ids)

    @cached_property
    def spellings(self) -> SubjectSpellings:
        """What names the person in bytes without columns."""
        raw = [] if self.raw_id is None else [self.raw_id]
        return SubjectSpellings([*self.subject_ids, *raw], self.all_calls)


def subject_ids(subject: str, key: str, lake: Lake) -> tuple[tuple[str, ...], str | None]:
    """Return the ids that rows name a person by, and the raw id if that was given.

    Args:
        subject: the person's id as clients know it, or its hash.
        key: key of the hash (FLYWHEEL_HASH_KEY).
        lake: tells whether a client sent the id without hashing it.

    Raises:
        RefusedError: the id is empty.
    """
    subject = subject.strip()
    if not subject:
        raise RefusedError("The subject is empty.", next_step="give the person's id or its hash")
    hashed = hash_subject(subject, key)
    if len(subject) == _HASH_DIGITS and not set(subject.lower()) - set("0123456789abcdef"):
        subject = subject.lower()
        return (subject,), None
    stored = {
        row["subject_id"]
        for table in _TABLES
        for row in lake.rows(
            f"SELECT DISTINCT subject_id FROM stored.{table} WHERE subject_id = ?",  # noqa: S608 - constant names
            [subject],
        )
    }
    return (hashed, *sorted(stored)), subject


def find_person(
    lake: Lake, ids: tuple[str, ...], raw_id: str | None, workload_id: str | None
) -> Person:
    """Look the person up in the lake, membership of snapshots included."""
    who = {"subjects": list(ids), "workload": workload_id}
    calls: dict[str, set[str]] = {}
    corrections: set[str] = set()
    for table in _TABLES:
        column = "correction_id" if table in ("corrections", "dataset_rows") else "NULL"
        query = (
            f"SELECT DISTINCT workload_id, inference_id, {column} AS correction_id "  # noqa: S608 - (as above)
            f"FROM stored.{table} WHERE {_THEIRS}"
        )
        for row in lake.rows(query, who):
            calls.setdefault(row["workload_id"], set()).update({row["inference_id"]} - {None})
            corrections |= {row["correction_id"]} - {None}
    linked = who | {"calls": sorted({one for call_ids in calls.values() for one in call_ids})}
    return Person(
        subject_ids=ids,
        raw_id=raw_id,
        workload_id=workload_id,
        calls={workload: frozenset(call_ids) for workload, call_ids in calls.items()},
        corrections=frozenset(corrections),
        positions=_positions(lake, linked),
        texts=_texts(lake, linked),
        rows=_rows(lake, linked),
    )


def _positions(lake: Lake, linked: Mapping[str, Any]) -> frozenset[Position]:
    positions = [
        (row["topic_id"], row["partition"], row["offset"])
        for table in ("inferences", "feedback")
        for row in lake.rows(
            f'SELECT topic_id, "partition", "offset" FROM stored.{table} '  # noqa: S608 - (as above)
            "WHERE list_contains($calls, inference_id)",
            {"calls": linked["calls"]},
        )
    ]
    return frozenset(positions)


def _texts(lake: Lake, linked: Mapping[str, Any]) -> frozenset[str]:
    texts = {
        row["input"]
        for table in _TEXTS
        for row in lake.rows(
            f"SELECT DISTINCT input FROM stored.{table} "  # noqa: S608 - (as above)
            f"WHERE (list_contains($calls, inference_id) OR {_THEIRS}) AND input IS NOT NULL",
            linked,
        )
    }
    comments = lake.rows(
        "SELECT value FROM stored.feedback WHERE list_contains($calls, inference_id) "
        "AND kind = 'comment' AND value IS NOT NULL",
        {"calls": linked["calls"]},
    )
    values = [json.loads(row["value"]) for row in comments]
    return frozenset(text for text in (*texts, *values) if isinstance(text, str) and text)


def _rows(lake: Lake, linked: Mapping[str, Any]) -> dict[str, int]:
    filled = {"inferences": "AND request IS NOT NULL", "feedback": "AND author IS NOT NULL"}
    counts = {}
    for table in (*_TEXTS, "feedback", "annotations"):
        named = f"OR {_THEIRS}" if table in _TEXTS else ""
        (row,) = lake.rows(
            f"SELECT count(*) AS count FROM stored.{table} "  # noqa: S608 - (as above)
            f"WHERE (list_contains($calls, inference_id) {named}) {filled.get(table, '')}",
            linked if named else {"calls": linked["calls"]},
        )
        counts[table] = int(row["count"])
    return {table: count for table, count in counts.items() if count}
