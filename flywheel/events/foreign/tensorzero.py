"""`read_tensorzero`: inferences of TensorZero, from its tables or its interface.

The answer is what the model wrote: its thoughts are left out, and where an inference was exported
with a person's demonstration in place of the output, the model's own output is read.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import as_answer
from flywheel.events.foreign.json_text import (
    describe,
    dict_at,
    list_at,
    milliseconds,
    nested_json,
    number_at,
    text_at,
)
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["is_tensorzero", "read_tensorzero"]

_FEEDBACK = ({"target_id", "value"}, {"inference_id", "value"})


def is_tensorzero(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a row of one of TensorZero's tables."""
    inference = ("function_name" in record or "episode_id" in record) and "input" in record
    return inference or _other_table(record) is not None


def read_tensorzero(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read an inference of TensorZero, chat or JSON function, from its table or its interface."""
    other = _other_table(record)
    if other is not None:
        raise EventError(Reason.NOT_A_CALL, other)
    request = dict_at(record, "input")
    if not request:
        raise EventError(Reason.NO_INPUT, "a TensorZero inference without input")
    system = request.get("system")
    messages = [{"role": "system", "content": _plain(system)}] if system else []
    for message in list_at(request, "messages"):
        role = text_at(message, "role")
        if role is not None:
            content = message.get("content")
            parts = content if isinstance(content, list) else [content]
            messages.append({"role": role, "content": "\n".join(filter(None, map(_part, parts)))})
    identity = text_at(record, "inference_id") or text_at(record, "id")
    model = text_at(record, "variant_name")
    replaced = list_at(record, "dispreferred_outputs")
    output = replaced[0] if replaced else record.get("output")
    return ForeignCall(
        format="tensorzero",
        request={"model": model, "messages": messages},
        response=_answer(nested_json(output), {"id": identity, "model": model}),
        times=(record.get("timestamp"), record.get("created_at"), _uuid_moment(identity)),
        model=model,
        client_id=text_at(record, "function_name"),
        conversation_id=text_at(record, "episode_id"),
        latency_ms=milliseconds(number_at(record, "processing_time_ms")),
    )


def _other_table(record: Mapping[str, Any]) -> str | None:
    if {"raw_request", "raw_response", "inference_id"} <= record.keys():
        return (
            "a row of TensorZero's ModelInference: export ChatInference and JsonInference, which "
            "hold the calls as the application made them"
        )
    if any(keys <= record.keys() for keys in _FEEDBACK) and "input" not in record:
        about = text_at(record, "metric_name") or "comment or demonstration"
        return f"TensorZero feedback ({about[:40]}): feedback is not imported, only inferences"
    return None


def _answer(output: Any, envelope: Mapping[str, Any]) -> JsonObject:
    if isinstance(output, dict) and ("raw" in output or "parsed" in output):
        raw = output.get("raw")
        content = raw if isinstance(raw, str) else json.dumps(output.get("parsed"))
        return as_answer(content, envelope)
    if isinstance(output, list):
        calls = [
            {"type": "function", "function": {"name": _name(part), "arguments": _arguments(part)}}
            for part in output
            if text_at(part, "type") == "tool_call"
        ]
        texts = [text for part in output if (text := _part(part))]
        message: dict[str, Any] = {"content": "\n".join(texts) or None}
        return as_answer(message | ({"tool_calls": calls} if calls else {}), envelope)
    if isinstance(output, str) and output:
        return as_answer(output, envelope)
    raise EventError(
        Reason.MISSING_FIELD, f"a TensorZero inference without output: it is {describe(output)}"
    )


def _part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if text_at(part, "type") in ("tool_call", "thought"):
        return None
    for key in ("text", "value", "arguments", "result"):
        content = dict_at(part).get(key)
        if content:
            return _plain(content)
    return None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _name(part: Any) -> str:
    return text_at(part, "name") or text_at(part, "raw_name") or ""


def _arguments(part: Any) -> str:
    fields = dict_at(part)
    arguments = fields.get("arguments")
    return _plain(arguments if arguments is not None else fields.get("raw_arguments", {}))


def _uuid_moment(identity: str | None) -> int | None:
    # The first 48 bits of a UUIDv7 are milliseconds.
    try:
        parsed = uuid.UUID(identity or "")
    except ValueError:
        return None
    return parsed.int >> 80 if parsed.version == 7 else None  # noqa: PLR2004 - see above
