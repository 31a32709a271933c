"""A small workload of each kind, and answers and corrections put into a lake directly."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.review_queue import ReviewQueue
from flywheel.review.sampling.batches import BatchReport, sample_batch
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload, parse_workload

START = datetime(2026, 1, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
END = START + WEEK
TOPICS = ("oil", "noise", "heat")
_PLACES = ["press", "lathe", "mill", "crane", "pump", "oven", "belt", "robot", "saw", "drill"]
_SIGNS = {
    "oil": ["drips", "fluid", "leaks", "puddle", "wet", "greasy", "slick", "spilled"],
    "noise": ["rattles", "squeals", "hums", "grinds", "knocks", "loud", "clatter", "bangs"],
    "heat": ["hot", "burning", "smoke", "glows", "overheats", "steam", "scorched", "warm"],
}


def classification(**changes: Any) -> Workload:
    """Return a workload that chooses one of three labels."""
    raw = {
        "id": "defects",
        "owner": "quality",
        "seed": 3,
        "task": {"type": "classification"},
        "taxonomy": {"version": 1, "labels": [{"id": t, "name": f"{t} fault"} for t in TOPICS]},
        "prompt": "{input}\nFault: ",
        "minimum_examples": 10,
        "golden_size": 10,
        "review": {"budget": 60},
    }
    return parse_workload(raw | changes, source="test")


def extraction(**changes: Any) -> Workload:
    """Return a workload that fills a category and an urgency."""
    schema = {
        "type": "object",
        "required": ["category", "urgency"],
        "additionalProperties": False,
        "properties": {
            "category": {"type": "string"},
            "urgency": {"type": "string", "enum": ["low", "high"]},
            "count": {"type": "integer"},
            "stopped": {"type": "boolean"},
            "note": {"type": "string"},
        },
    }
    task = {"type": "extraction", "schema": schema, "label_field": "category"}
    return classification(**{"id": "reports", "task": task} | changes)


def text(number: int) -> str:
    """Return a report; texts of different numbers are no near-duplicates."""
    topic = TOPICS[number % 3]
    signs, machine = _SIGNS[topic], _PLACES[number % 10]
    return (
        f"{signs[number % 8]} {machine} {signs[number // 3 % 8]} {signs[number // 7 % 8]} at "
        f"{hash_word(number)} {hash_word(number * 31 + 7)} {hash_word(number * 17 + 3)}"
    )


def hash_word(number: int) -> str:
    """Return a made-up word."""
    letters = "bcdfghklmnprstvz"
    state, word = (number * 2654435761 + 97) % 2**32, ""
    for _ in range(4):
        word += letters[state % 16] + "aeiou"[state // 16 % 5]
        state = state * 1103515245 % 2**31 + 12345
    return word


def truth(number: int) -> str:
    """Return the label that the report deserves."""
    return f"{TOPICS[number % 3]} fault"


def put_answers(
    lake: Lake,
    workload: Workload,
    answers: Sequence[dict[str, Any]],
    *,
    offset: int = 0,
    landed_at: datetime = END,
) -> None:
    """Put inferences into the lake as ingest would leave them."""
    rows = []
    for number, answer in enumerate(answers):
        row = {
            "topic": "flywheel.inferences",
            "topic_id": "t",
            "partition": 0,
            "offset": offset + number,
            "landed_at": landed_at,
            "schema_version": 1,
            "workload_id": workload.id,
            "client_id": "plant",
            "route": "champion",
            "release": "base",
            "confidence": 0.9,
            "latency_ms": 10.0,
        } | answer
        row["day"] = row["timestamp"].date()
        row["output"] = None if row["output"] is None else canonical_json(row["output"])
        rows.append(row)
    lake.append("inferences", pa.Table.from_pylist(rows, schema=TABLES["inferences"].schema))


def answer(number: int, **changes: Any) -> dict[str, Any]:
    """Return one answer of the champion, right in two of three cases."""
    given = truth(number) if number % 5 else truth(number + 1)
    return {
        "inference_id": f"i{number:05d}",
        "timestamp": START + timedelta(minutes=number),
        "input": text(number),
        "output": given,
        "confidence": 0.3 + (number * 37 % 70) / 100,
    } | changes


def sample_week(
    lake: Lake,
    queue: ReviewQueue,
    workload: Workload,
    *,
    week: int = 0,
    now: datetime | None = None,
    budget: int | None = None,
    disagreements: Collection[str] = (),
) -> BatchReport:
    """Sample one week, by default at its end."""
    start = START + week * WEEK
    end = start + WEEK
    return sample_batch(
        lake,
        queue,
        workload,
        window_start=start,
        window_end=end,
        now=end if now is None else now,
        budget=budget,
        disagreements=disagreements,
    )


def put_feedback(
    lake: Lake,
    workload: Workload,
    said: Sequence[tuple[str, str, Any]],
    *,
    given_at: datetime = START + timedelta(days=1),
) -> None:
    """Put (inference id, kind, value) into the lake's feedback."""
    rows = [
        {
            "feedback_id": f"f{number}",
            "timestamp": given_at,
            "day": START.date(),
            "landed_at": END,
            "workload_id": workload.id,
            "inference_id": key,
            "kind": kind,
            # An earlier contract let a null in, which the lake holds as no value.
            "value": None if value is None else json.dumps(value),
        }
        for number, (key, kind, value) in enumerate(said)
    ]
    lake.append("feedback", pa.Table.from_pylist(rows, schema=TABLES["feedback"].schema))


def put_corrections(lake: Lake, workload: Workload, corrections: Sequence[dict[str, Any]]) -> None:
    """Put accepted corrections into the lake as the review stage would leave them."""
    rows = []
    for correction in corrections:
        row = {
            "workload_id": workload.id,
            "version": 1,
            "status": "accepted",
            "slice": "uncertain",
            "source": "review",
            "taxonomy_version": 1,
            "original_output": None,
            "event_time": START,
            "accepted_at": END,
        } | correction
        row["correction_id"] = row.get("correction_id", "c-" + str(row["inference_id"]))
        for name in ("output", "original_output"):
            row[name] = None if row[name] is None else canonical_json(row[name])
        rows.append(row)
    lake.append("corrections", pa.Table.from_pylist(rows, schema=TABLES["corrections"].schema))


def correction(number: int, **changes: Any) -> dict[str, Any]:
    """Return one accepted correction."""
    return {
        "inference_id": f"i{number:05d}",
        "input": text(number),
        "output": truth(number),
    } | changes
