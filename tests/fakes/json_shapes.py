"""Arbitrary JSON shaped like the log formats: records with parts replaced, lost, doubled or cut."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.fakes.foreign_records import RECORDS

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1767225600000000000, 10**30, 1.5, "", " ", "x", "leak", "\ud800",
    "\u202e", "{", "[1", '{"a": 1}', "[]", "1e400", [], [None], [[]], [{}], ["a"], [7], {}, {"a": None},
    {"content": None}, {"choices": None}, {"error": 1}, {"message": []}, {"id": []},
)  # fmt: skip
_RAW = (b"NaN", b"-Infinity", b"1e400", b"1" * 5_000, b'"\\ud800"', b"[" * 2_000, b"\xff", b"")
_KEYS = ("request", "response", "messages", "choices", "output", "input", "timestamp", "created",
         "usage", "id", "object", "error", "user", "metadata", "custom_id", "info", "data", "type",
         "function_name", "traceId", "inference_id", "workload_id", "confidence")  # fmt: skip


def spoiled(rng: random.Random) -> bytes:
    """Return one line: a record of some format that something happened to."""
    record = copy.deepcopy(rng.choice(list(RECORDS.values()))[0])
    for _ in range(rng.randint(0, 3)):
        _spoil(rng, record)
    line = json.dumps(record).encode()
    chance = rng.random()
    if chance < 0.15:
        mark = json.dumps(rng.choice(_VALUES)).encode()
        return line.replace(mark, rng.choice(_RAW), 1)
    if chance < 0.2:
        return line[: rng.randint(1, len(line))]
    if chance < 0.25:
        return rng.choice(_RAW)
    return line


def replaced_everywhere(record: Any) -> Iterator[Any]:
    """Yield a record once for each of its parts and each kind of value in that part's place."""
    for path in _paths(record):
        for value in _VALUES:
            changed = copy.deepcopy(record)
            parent = changed
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            yield changed


def _spoil(rng: random.Random, record: Any) -> None:
    paths = list(_paths(record))
    if not paths or rng.random() < 0.1:
        record[rng.choice(_KEYS)] = copy.deepcopy(rng.choice(_VALUES))
        return
    path = rng.choice(paths)
    parent = record
    for key in path[:-1]:
        parent = parent[key]
    if rng.random() < 0.3:
        del parent[path[-1]]
    elif rng.random() < 0.2 and isinstance(parent, dict):
        parent[rng.choice(_KEYS)] = parent.pop(path[-1])
    else:
        parent[path[-1]] = copy.deepcopy(rng.choice(_VALUES))


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*at, key)
        yield from _paths(inner, (*at, key))
