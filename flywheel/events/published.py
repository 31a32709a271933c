"""The events' JSON Schema, for producers in any language; made from the types that ingest reads.

A value that the schema refuses becomes a dead letter. Beyond it, ingest checks what depends on the
workload: that it is known, and how large an event and how long its input may be.
"""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Literal

import msgspec

from flywheel.events.reasons import MAXIMUM_DEPTH
from flywheel.events.schema import (
    MAXIMUM_COMMENT,
    FeedbackEvent,
    FeedbackKind,
    InferenceEvent,
)
from flywheel.io.records import JsonObject

__all__ = ["EventName", "published_schema"]

EventName = Literal["inference", "feedback"]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "inference": InferenceEvent,
    "feedback": FeedbackEvent,
}
_VALUES: Mapping[FeedbackKind, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"},
    "float": {"type": "number"},
    "comment": {"type": "string", "maxLength": MAXIMUM_COMMENT},
    "demonstration": {"type": ["string", "object"]},
}
# What JSON Schema cannot say; `flywheel schema` prints it, and docs/how-to/events.md.
_COMMENT = (
    "Of a key that is given twice the last value counts. Keys that are not named here are ignored. "
    "An event is at most `limits.event_bytes` of its workload long (1 MiB by default), nests at most "
    f"{MAXIMUM_DEPTH} deep and holds finite numbers only; its time lies between 2000 and 2200."
)


def published_schema(name: EventName) -> JsonObject:
    """Return the JSON Schema (draft 2020-12) of version 1 of an event."""
    (top,), parts = msgspec.json.schema_components([_EVENTS[name]], ref_template="#/$defs/{name}")
    own = top["$ref"].rsplit("/", 1)[-1]
    schema: dict[str, Any] = {"$schema": _DIALECT, "$id": f"urn:flywheel:{name}:1"} | parts.pop(own)
    schema["description"] = cleandoc(schema["description"])
    schema["$comment"] = _COMMENT
    if name == "feedback":
        schema["allOf"] = [
            {
                "if": {"properties": {"kind": {"const": kind}}},
                "then": {"properties": {"value": dict(value)}},
            }
            for kind, value in _VALUES.items()
        ]
    if parts:
        schema["$defs"] = parts
    return schema
