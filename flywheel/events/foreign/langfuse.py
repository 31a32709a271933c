"""`read_langfuse`: generations and traces of Langfuse, from its interface and its exports.

The interface and the table exports write ``traceId``, the blob storage ``trace_id`` and times in
UTC without a zone.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import as_answer, chat_request_of, chat_response_of
from flywheel.events.foreign.json_text import (
    dict_at,
    milliseconds,
    nested_json,
    number_at,
    text_at,
)
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["is_langfuse", "read_langfuse"]

_NAMED = {"traceId", "projectId", "observations", "sessionId", "startTime"}
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")


def is_langfuse(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a generation, a trace or a score of Langfuse."""
    keys = {_camel(key) for key in record}
    return ({"input", "output"} <= keys and bool(_NAMED & keys)) or _is_score(keys)


def read_langfuse(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a generation, or a trace with input and output, of a Langfuse export."""
    named = {_camel(key): value for key, value in record.items()}
    _check(named)
    model = text_at(named, "model") or text_at(named, "providedModelName")
    request = {"model": model} | dict_at(named, "modelParameters") | chat_request_of(named["input"])
    failed = text_at(named, "level") == "ERROR"
    output = nested_json(named.get("output"))
    response, error = (None, None) if failed and not output else _answer(output)
    if failed:
        error = text_at(named, "statusMessage") or "the call failed"
    seconds = number_at(named, "latency")
    return ForeignCall(
        format="langfuse",
        request=request,
        response=None if response is None else _usage(named) | response,
        error=error,
        times=tuple(_utc(named.get(key)) for key in ("startTime", "timestamp", "createdAt")),
        model=model,
        client_id=text_at(named, "name"),
        trace_id=text_at(named, "traceId") or text_at(named, "id"),
        conversation_id=text_at(named, "sessionId"),
        subject=text_at(named, "userId"),
        latency_ms=None if seconds is None else milliseconds(seconds * 1000),
    )


def _check(named: Mapping[str, Any]) -> None:
    if _is_score(named.keys()):
        about = text_at(named, "name") or "?"
        raise EventError(
            Reason.NOT_A_CALL, f"a Langfuse score ({about[:40]}): scores are not imported"
        )
    kind = text_at(named, "type")
    if kind is not None and kind.upper() != "GENERATION":
        raise EventError(
            Reason.NOT_A_CALL, f"a Langfuse observation of type {kind[:40]}, not a model's call"
        )
    if named.get("input") in (None, "", [], {}):
        raise EventError(Reason.NO_INPUT, "a Langfuse record without input")


def _is_score(keys: Any) -> bool:
    return {"traceId", "name", "value", "dataType"} <= set(keys) and "input" not in keys


def _answer(output: Any) -> tuple[JsonObject | None, str | None]:
    answer_keys = {"choices", "output", "error", "content", "tool_calls"}
    if isinstance(output, dict) and output and not answer_keys & output.keys():
        # The parsed answer itself, as structured outputs are logged.
        return as_answer(json.dumps(output, ensure_ascii=False), {}), None
    if output is None:
        raise EventError(Reason.MISSING_FIELD, "a Langfuse record without output")
    return chat_response_of(output)


def _usage(named: Mapping[str, Any]) -> JsonObject:
    first: dict[str, Any] = {"id": text_at(named, "id")}
    counts = dict_at(named, "usageDetails") or dict_at(named, "usage")
    input_tokens, output_tokens = number_at(counts, "input"), number_at(counts, "output")
    if input_tokens is not None or output_tokens is not None:
        first["usage"] = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    return first


def _utc(moment: Any) -> Any:
    if isinstance(moment, str) and _WITHOUT_ZONE.fullmatch(moment.strip()):
        return moment.strip() + "+00:00"
    return moment


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(one[:1].upper() + one[1:] for one in others)
