"""Workloads, events and bytes for tests of the data plane; everything follows from a seed."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from flywheel.events import (
    FeedbackEvent,
    InferenceEvent,
    Usage,
    chat_request,
    chat_response,
    encode,
    event_id,
    raw_json,
)
from flywheel.workload.model import Workload, parse_workload

START = datetime(2026, 1, 1, tzinfo=UTC)


def make_workload(**changes: Any) -> Workload:
    """Make a small classification workload."""
    raw = {
        "id": "reports",
        "owner": "quality",
        "task": {"type": "classification"},
        "taxonomy": {
            "labels": [
                {"id": "leak", "name": "leak"},
                {"id": "crack", "name": "crack"},
                {"id": "noise", "name": "noise", "former_names": ["hum"]},
            ]
        },
        "prompt": "Sort the report.\n{input}\nCategory:",
        "limits": {"event_bytes": 100_000, "input_characters": 500},
    }
    return parse_workload(raw | changes, source="test")


def make_event(number: int, workload: Workload, **changes: Any) -> InferenceEvent:
    """Make the inference event of a number: the same one each time."""
    moment = START + timedelta(minutes=17 * number)
    rng = random.Random(number)  # noqa: S311 - reproducible, not secret
    answer = rng.choice(["leak", "crack", "noise"])
    values: dict[str, Any] = {
        "inference_id": event_id(moment, rng),
        "timestamp": moment,
        "workload_id": workload.id,
        "workload_revision": workload.revision,
        "client_id": f"line-{number % 3}",
        "route": "champion",
        "release": "base",
        "base_model": "tiny",
        "request": chat_request(workload, f"the pump № {number} leaks", model="base"),
        "response": chat_response(
            answer,
            model="base",
            response_id=str(number),
            created=moment,
            prompt_tokens=20,
            completion_tokens=1,
        ),
        "output": raw_json(answer),
        "confidence": round(rng.random(), 3),
        "latency_ms": 12.5,
        "usage": Usage(20, 1, 21),
    }
    return InferenceEvent(**values | changes)


def make_feedback(number: int, workload: Workload, **changes: Any) -> FeedbackEvent:
    """Make the feedback about the inference event of a number."""
    event = make_event(number, workload)
    values: dict[str, Any] = {
        "feedback_id": f"feedback-{number}",
        "timestamp": event.timestamp + timedelta(days=1),
        "workload_id": workload.id,
        "inference_id": event.inference_id,
        "kind": "boolean",
        "value": raw_json(number % 2 == 0),
        "author": "operator",
    }
    return FeedbackEvent(**values | changes)


def keyed(event: InferenceEvent | FeedbackEvent) -> tuple[bytes, bytes]:
    """Return the key and value that a producer appends."""
    return event.inference_id.encode(), encode(event)
