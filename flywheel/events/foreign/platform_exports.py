"""Readers of exports of other platforms: TensorZero, OpenPipe, Langfuse, MLflow traces."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import as_answer, chat_request_of, chat_response_of
from flywheel.events.foreign.json_text import (
    describe,
    dict_at,
    list_at,
    nested_json,
    number_at,
    text_at,
)
from flywheel.events.reasons import Reason

__all__ = ["read_langfuse", "read_mlflow", "read_openpipe", "read_tensorzero"]

_HTTP_ERROR = 400
_MODEL_SPANS = ("CHAT_MODEL", "LLM")


def read_tensorzero(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read an inference of TensorZero, chat or JSON function, from its table or its interface."""
    asked = dict_at(record, "input")
    if not asked:
        raise EventError(Reason.NO_INPUT, "a TensorZero inference without input")
    system = asked.get("system")
    messages = [{"role": "system", "content": _plain(system)}] if system else []
    for message in list_at(asked, "messages"):
        role = text_at(message, "role")
        if role is not None:
            content = message.get("content")
            parts = content if isinstance(content, list) else [content]
            messages.append({"role": role, "content": "\n".join(filter(None, map(_part, parts)))})
    identity = text_at(record, "inference_id") or text_at(record, "id")
    model = text_at(record, "variant_name")
    known = {"id": identity, "model": model}
    return ForeignCall(
        format="tensorzero",
        request={"model": model, "messages": messages},
        response=_tensorzero_answer(nested_json(record.get("output")), known),
        times=(record.get("timestamp"), _uuid_moment(identity)),
        model=model,
        client_id=text_at(record, "function_name"),
        conversation_id=text_at(record, "episode_id"),
        latency_ms=_positive(number_at(record, "processing_time_ms")),
    )


def read_openpipe(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a logged request of OpenPipe."""
    first = {_snake(key): value for key, value in record.items()}
    request = chat_request_of(first.get("req_payload"))
    status = number_at(first, "status_code")
    failed = text_at(first, "error_message") or (
        f"HTTP status {status:g}" if status is not None and status >= _HTTP_ERROR else None
    )
    given = nested_json(first.get("resp_payload"))
    response, error = (None, None) if failed and not given else chat_response_of(given)
    return ForeignCall(
        format="openpipe",
        request=request,
        response=response,
        error=failed or error,
        times=(
            first.get("requested_at"),
            first.get("received_at"),
            dict_at(response).get("created"),
        ),
        model=text_at(response, "model") or text_at(request, "model"),
        client_id=text_at(first, "tags", "client_id"),
        conversation_id=text_at(first, "tags", "conversation_id"),
        latency_ms=_positive(number_at(first, "duration")),
    )


def read_langfuse(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a generation, or a trace with input and output, of a Langfuse export."""
    kind = text_at(record, "type")
    if kind is not None and kind.upper() != "GENERATION":
        raise EventError(
            Reason.NOT_A_CALL, f"a Langfuse observation of type {kind[:40]}, not a model's call"
        )
    if record.get("input") in (None, "", [], {}):
        raise EventError(Reason.NO_INPUT, "a Langfuse record without input")
    parameters = dict_at(record, "modelParameters")
    request = chat_request_of(record["input"])
    request = {"model": text_at(record, "model")} | parameters | request
    failed = text_at(record, "level") == "ERROR"
    given = nested_json(record.get("output"))
    response, error = (None, None) if failed and given is None else _langfuse_answer(given)
    if failed:
        error = text_at(record, "statusMessage") or "the call failed"
    seconds = number_at(record, "latency")
    return ForeignCall(
        format="langfuse",
        request=request,
        response=None if response is None else {"id": text_at(record, "id")} | response,
        error=error,
        times=(record.get("startTime"), record.get("timestamp"), record.get("createdAt")),
        model=text_at(record, "model"),
        client_id=text_at(record, "name"),
        trace_id=text_at(record, "traceId") or text_at(record, "id"),
        conversation_id=text_at(record, "sessionId"),
        latency_ms=None if seconds is None else _positive(seconds * 1000),
    )


def read_mlflow(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a trace of MLflow: the first span that called a model, or the trace's own request."""
    info, data = dict_at(record, "info"), dict_at(record, "data")
    span = _model_span(list_at(data, "spans"))
    attributes = dict_at(span, "attributes")
    asked = nested_json(attributes.get("mlflow.spanInputs", data.get("request")))
    answered = nested_json(attributes.get("mlflow.spanOutputs", data.get("response")))
    if not isinstance(asked, dict) or not {"messages", "input", "prompt"} & asked.keys():
        raise EventError(
            Reason.NOT_A_CALL, f"an MLflow trace without a chat: its input is {describe(asked)}"
        )
    failed = (text_at(info, "state") or text_at(info, "status")) == "ERROR"
    response, error = (None, None) if failed and not answered else chat_response_of(answered)
    metadata = dict_at(info, "trace_metadata") or dict_at(info, "request_metadata")
    trace_id = text_at(info, "trace_id") or text_at(info, "request_id")
    if response is not None and not text_at(response, "id"):
        response = {"id": trace_id} | {key: response[key] for key in response if key != "id"}
    return ForeignCall(
        format="mlflow",
        request=chat_request_of(asked),
        response=response,
        error=error or ("the trace ended with an error" if failed else None),
        times=(
            info.get("request_time"),
            info.get("timestamp_ms"),
            span.get("start_time_unix_nano", span.get("start_time")),
        ),
        model=text_at(response, "model") or text_at(asked, "model"),
        client_id=text_at(info, "tags", "mlflow.traceName"),
        trace_id=trace_id,
        conversation_id=text_at(metadata, "mlflow.trace.session"),
        subject=text_at(metadata, "mlflow.trace.user"),
        latency_ms=_positive(
            number_at(info, "execution_duration_ms") or number_at(info, "execution_time_ms")
        ),
    )


def _tensorzero_answer(output: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(output, dict) and ("raw" in output or "parsed" in output):
        raw = output.get("raw")
        content = raw if isinstance(raw, str) else json.dumps(output.get("parsed"))
        return as_answer(content, known)
    if isinstance(output, list):
        calls = [
            {"type": "function", "function": {"name": _name(part), "arguments": _arguments(part)}}
            for part in output
            if text_at(part, "type") == "tool_call"
        ]
        texts = [text for part in output if (text := _part(part))]
        message: dict[str, Any] = {"content": "\n".join(texts) or None}
        return as_answer(message | ({"tool_calls": calls} if calls else {}), known)
    if isinstance(output, str) and output:
        return as_answer(output, known)
    raise EventError(
        Reason.MISSING_FIELD, f"a TensorZero inference without output: it is {describe(output)}"
    )


def _langfuse_answer(output: Any) -> tuple[dict[str, Any] | None, str | None]:
    known = {"choices", "output", "error", "content", "tool_calls"}
    if isinstance(output, dict) and output and not known & output.keys():
        # The parsed answer itself, as structured outputs are logged.
        return as_answer(json.dumps(output, ensure_ascii=False), {}), None
    if output is None:
        raise EventError(Reason.MISSING_FIELD, "a Langfuse record without output")
    return chat_response_of(output)


def _model_span(spans: list[Any]) -> dict[str, Any]:
    found = [span for span in spans if isinstance(span, dict)]
    for span in found:
        kind = dict_at(span, "attributes").get("mlflow.spanType")
        if isinstance(kind, str) and kind.strip('"') in _MODEL_SPANS:
            return span
    roots = (span for span in found if not (span.get("parent_span_id") or span.get("parent_id")))
    return next(roots, {})


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    for key in ("text", "value", "arguments"):
        content = dict_at(part).get(key) if text_at(part, "type") != "tool_call" else None
        if content:
            return _plain(content)
    return None


def _name(part: Any) -> str:
    return text_at(part, "name") or text_at(part, "raw_name") or ""


def _arguments(part: Any) -> str:
    given = dict_at(part)
    arguments = given.get("arguments")
    return _plain(arguments if arguments is not None else given.get("raw_arguments", {}))


def _uuid_moment(identity: str | None) -> int | None:
    # The first 48 bits of a UUIDv7 are milliseconds.
    try:
        parsed = uuid.UUID(identity or "")
    except ValueError:
        return None
    return parsed.int >> 80 if parsed.version == 7 else None  # noqa: PLR2004 - see above


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _positive(value: float | None) -> float | None:
    return value if value is not None and 0 <= value < 10**9 else None
