"""Decode speed against bare msgspec, measured in one run: medians, anchors beside.

`decode` is decoding with every check of the contract but those that need the request; `arrow` is
from bytes to the Arrow table that the lake gets, those checks and the input's extraction included.
The anchor is msgspec's typed decode of the same bytes into the same struct, with no check beside.
"""

import gc
import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from bench.ratio import Ratio
from flywheel.events import (
    INFERENCES_TOPIC,
    EventContract,
    InferenceEvent,
    Usage,
    chat_request,
    chat_response,
    decode_inferences,
    encode,
    event_id,
    raw_json,
)
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import arrange
from flywheel.ports.event_log import LogRecord, Partition
from flywheel.workload import Workload, parse_workload

__all__ = ["measure"]

_EVENTS = 10_000
_ROUNDS = 9
_START = datetime(2026, 1, 1, tzinfo=UTC)


def measure(*, events: int = _EVENTS, rounds: int = _ROUNDS) -> list[Ratio]:
    """Measure decoding and the way to Arrow against bare msgspec."""
    workload = _workload()
    values = _values(workload, events)
    records = _records(values)
    contract = EventContract([workload])
    bare = msgspec.json.Decoder(InferenceEvent).decode
    seconds = _medians(
        {
            "bare": lambda: [bare(value) for value in values],
            "decode": lambda: decode_inferences(values, contract, derive_id=str),
            "arrow": lambda: arrange(records, contract, AnswerTexts(), now=_START),
        },
        rounds,
    )
    speed = {name: events / total for name, total in seconds.items()}
    return [
        Ratio(
            name=f"{what} / bare msgspec",
            measured=speed[key],
            anchor=speed["bare"],
            unit="events/s",
            aim=f"at least {aim}",
            good=speed[key] >= aim * speed["bare"],
        )
        for what, key, aim in (
            ("decode and validate", "decode", 0.9),
            ("bytes to Arrow", "arrow", 0.22),
        )
    ]


def _medians(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    # In turns, so that a slow moment of the machine hits all of them.
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            gc.collect()
            started = time.perf_counter()
            action()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def _workload() -> Workload:
    labels = [{"id": f"label_{i}", "name": f"label {i}"} for i in range(20)]
    raw = {
        "id": "bench",
        "owner": "bench",
        "task": {"type": "classification"},
        "taxonomy": {"labels": labels},
        "prompt": "Sort the report into one of the categories. " * 16 + "{input}",
    }
    return parse_workload(raw, source="bench")


def _values(workload: Workload, count: int) -> list[bytes]:
    rng = random.Random(0)  # noqa: S311 - reproducible, not secret
    words = json.loads('["pump", "leaks", "at", "the", "flange", "after", "Öl", "shift"]')
    values = []
    for index in range(count):
        moment = _START + timedelta(seconds=index * 7)
        text = " ".join(rng.choice(words) for _ in range(40))
        answer = f"label {rng.randrange(20)}"
        event = InferenceEvent(
            inference_id=event_id(moment, rng),
            timestamp=moment,
            workload_id=workload.id,
            workload_revision=workload.revision,
            client_id=f"line-{index % 8}",
            subject_id=None,
            trace_id=f"{index:032x}",
            route="champion",
            release="base",
            base_model="tiny",
            request=chat_request(workload, text, model="base"),
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
        values.append(encode(event))
    return values


def _records(values: list[bytes]) -> list[LogRecord]:
    partition = Partition(INFERENCES_TOPIC, "bench", 0)
    return [
        LogRecord(partition, offset, b"key", value, _START) for offset, value in enumerate(values)
    ]
