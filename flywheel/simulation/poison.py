"""Messages that a real topic brings sooner or later: broken, foreign, oversized, twice.

Each must become a dead letter (or, for a repeated one, a flagged duplicate) without harm to its
neighbors.
"""

import json
import random
from collections.abc import Sequence
from typing import Any

from flywheel.io.records import JsonObject

__all__ = ["LARGE_MESSAGE_BYTES", "POISON_KINDS", "poison", "poison_of_kind", "with_duplicates"]

LARGE_MESSAGE_BYTES = 5_000_000
_DEPTH = 10_000

POISON_KINDS: tuple[str, ...] = (
    "bad_json",
    "bad_utf8",
    "wrong_type",
    "unknown_workload",
    "missing_id",
    "not_a_number",
    "deep_nesting",
    "too_large",
    "empty",
    "not_an_object",
)


_CHANGES: dict[str, dict[str, Any]] = {
    "wrong_type": {"timestamp": ["yesterday"], "latency_ms": "fast"},
    "unknown_workload": {"workload_id": "nobody_knows_this"},
    "not_a_number": {"confidence": float("nan")},
}


def poison(seed: int, count: int) -> list[bytes]:
    """Return ``count`` bad messages that take turns through all kinds, one large one at most."""
    rng = random.Random(f"poison:{seed}")  # noqa: S311 - a simulation, not a secret
    cheap = [kind for kind in POISON_KINDS if kind != "too_large"]
    kinds = [*POISON_KINDS, *(cheap[number % len(cheap)] for number in range(count))]
    return [poison_of_kind(kind, rng) for kind in kinds[:count]]


def poison_of_kind(kind: str, rng: random.Random) -> bytes:
    """Return one bad message of a kind."""
    event = _valid(rng)
    text = json.dumps(event)
    if kind in _CHANGES:
        return json.dumps(event | _CHANGES[kind]).encode()
    if kind == "missing_id":
        return json.dumps({k: v for k, v in event.items() if k != "inference_id"}).encode()
    if kind == "too_large":
        event["request"]["messages"][0]["content"] = "x" * LARGE_MESSAGE_BYTES
        return json.dumps(event).encode()
    if kind == "deep_nesting":
        nested = "[" * _DEPTH + "]" * _DEPTH
        return (
            json.dumps(event | {"output": 0}).replace('"output": 0', f'"output": {nested}').encode()
        )
    return {
        "bad_json": text.encode()[: rng.randint(20, 120)],
        "bad_utf8": text.encode().replace(b"dent in", b"dent \xff\xfe in"),
        "empty": b"",
        "not_an_object": b'["not", "an", "event"]',
    }[kind]


def with_duplicates(messages: Sequence[bytes], *, share: float, seed: int) -> list[bytes]:
    """Return the messages with a share of them sent again later, byte for byte."""
    rng = random.Random(f"duplicates:{seed}")  # noqa: S311
    again = [message for message in messages if rng.random() < share]
    # A producer that retries sends the copy after the original, in the same run.
    return [*messages, *again]


def _valid(rng: random.Random) -> JsonObject:
    number = rng.getrandbits(48)
    content = f"dent in the flange, ref {number % 10_000}"
    return {
        "inference_id": f"019a0000-0000-7000-8000-{number:012x}",
        "schema_version": 1,
        "timestamp": "2026-02-03T10:00:00Z",
        "workload_id": "defect_reports",
        "client_id": "plant-linz",
        "route": "champion",
        "release": "base",
        "base_model": "tiny",
        "request": {"model": "base", "messages": [{"role": "user", "content": content}]},
        "response": {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "{}"}}],
        },
        "output": {"category": "dent", "urgency": "low"},
        "confidence": 0.5,
        "latency_ms": 12.0,
        "usage": {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24},
    }
