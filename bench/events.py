"""A workload and events of about 1.5 KB, made from a seed: what the data plane's benchmarks move."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flywheel.events import (
    INFERENCES_TOPIC,
    InferenceEvent,
    Usage,
    chat_request,
    chat_response,
    encode,
    event_id,
    raw_json,
)
from flywheel.ports.event_log import LogRecord, Partition
from flywheel.workload.model import Workload, parse_workload

__all__ = ["START", "make_events", "make_records", "make_workload"]

START = datetime(2026, 1, 1, tzinfo=UTC)
_LABELS = 20
_WORDS = ("pump", "leaks", "at", "the", "flange", "after", "Öl", "shift", "noise", "valve", "belt")
_PARTITIONS = 4


def make_workload() -> Workload:
    """Make a classification workload with a long prompt, as a model in production has."""
    labels = [{"id": f"label_{i}", "name": f"label {i}"} for i in range(_LABELS)]
    raw = {
        "id": "bench",
        "owner": "bench",
        "task": {"type": "classification"},
        "taxonomy": {"labels": labels},
        "prompt": "Sort the report into one of the categories. " * 10 + "{input}",
    }
    return parse_workload(raw, source="bench")


def make_events(
    workload: Workload, count: int, *, seed: int = 0, now: datetime | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values as a producer appends them.

    Args:
        workload: what they are about.
        count: how many.
        seed: same seed, same events.
        now: their time; None spreads them over days from `START`.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for index in range(count):
        moment = now or START + timedelta(seconds=index * 7)
        answer = f"label {rng.randrange(_LABELS)}"
        event = InferenceEvent(
            inference_id=event_id(moment, rng),
            timestamp=moment,
            workload_id=workload.id,
            workload_revision=workload.revision,
            client_id=f"line-{index % 8}",
            trace_id=f"{rng.getrandbits(128):032x}",
            route="champion",
            release="base",
            base_model="tiny",
            request=chat_request(workload, " ".join(rng.choices(_WORDS, k=40)), model="base"),
            response=chat_response(
                answer,
                model="base",
                response_id=str(index),
                created=moment,
                prompt_tokens=200,
                completion_tokens=3,
            ),
            output=raw_json(answer),
            confidence=rng.random(),
            latency_ms=rng.random() * 100,
            usage=Usage(200, 3, 203),
        )
        yield event.inference_id.encode(), encode(event)


def make_records(workload: Workload, count: int) -> list[LogRecord]:
    """Return events as the log would hand them out, over four partitions."""
    partitions = [Partition(INFERENCES_TOPIC, "bench", n) for n in range(_PARTITIONS)]
    return [
        LogRecord(partitions[index % _PARTITIONS], index // _PARTITIONS, key, value, START)
        for index, (key, value) in enumerate(make_events(workload, count))
    ]
