"""The events' JSON Schema, for producers in any language; made from the types that ingest reads.

A value that the schema refuses becomes a dead letter. Beyond it, ingest checks what depends on the
workload: that it is known, and how large an event and how long its input may be.
"""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Literal

import msgspec

from flywheel.events.schema import FeedbackEvent, FeedbackKind, InferenceEvent

__all__ = ["EventName", "published_schema"]

EventName = Literal["inference", "feedback"]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EVENTS: Mapping[str, type[msgspec.Struct]] = {
    "inference": InferenceEvent,
    "feedback": FeedbackEvent,
}
# A demonstration is whatever the workload's answer is.
_VALUE_TYPES: Mapping[FeedbackKind, str] = {
    "boolean": "boolean",
    "float": "number",
    "comment": "string",
}


def published_schema(name: EventName) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of version 1 of an event."""
    (top,), parts = msgspec.json.schema_components([_EVENTS[name]], ref_template="#/$defs/{name}")
    own = top["$ref"].rsplit("/", 1)[-1]
    schema: dict[str, Any] = {"$schema": _DIALECT, "$id": f"urn:flywheel:{name}:1"} | parts.pop(own)
    schema["description"] = cleandoc(schema["description"])
    if name == "feedback":
        schema["allOf"] = [
            {
                "if": {"properties": {"kind": {"const": kind}}},
                "then": {"properties": {"value": {"type": type_}}},
            }
            for kind, type_ in _VALUE_TYPES.items()
        ]
    if parts:
        schema["$defs"] = parts
    return schema
