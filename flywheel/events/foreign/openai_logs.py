"""Readers of what OpenAI's own interfaces and gateways write: pairs, chats, batches, responses."""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import as_answer, chat_request_of, chat_response_of, error_text
from flywheel.events.foreign.json_text import (
    describe,
    dict_at,
    milliseconds,
    nested_json,
    number_at,
    text_at,
)
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = [
    "call_of_record",
    "read_batch_output",
    "read_chat",
    "read_pair",
    "read_response_alone",
]

_EVENT_FIELDS = (
    "inference_id", "workload_revision", "subject_id", "route", "release", "base_model",
    "confidence", "margin", "shadow_of",
)  # fmt: skip
_OF_REQUEST = ("tools", "tool_choice", "functions", "response_format")
_TIMES = ("timestamp", "created_at", "createdAt", "time", "requested_at", "request_time", "date")


def read_pair(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read ``request`` and ``response`` side by side: NVIDIA's records, gateways, our own events."""
    request = chat_request_of(record.get("request"))
    if "response" not in record and not record.get("error"):
        raise EventError(
            Reason.MISSING_FIELD, f"a request without its response: it is {describe(dict(record))}"
        )
    return call_of_record("openai", record, request, *_response_of(record))


def read_chat(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a chat that ends with the assistant's answer, as fine-tuning files hold it."""
    messages = nested_json(record.get("messages"))
    if not isinstance(messages, list) or not messages:
        raise EventError(Reason.WRONG_TYPE, f"a chat whose messages are {describe(messages)}")
    *request_messages, answered = messages
    if not isinstance(answered, dict) or answered.get("role") not in ("assistant", "model"):
        raise EventError(
            Reason.MISSING_FIELD,
            "a chat without an answer: its last message is not the assistant's",
        )
    envelope = {"model": record.get("model")}
    request: dict[str, Any] = {"model": record.get("model"), "messages": request_messages}
    request |= {key: record[key] for key in _OF_REQUEST if record.get(key)}
    if isinstance(record.get("metadata"), dict):
        request["metadata"] = record["metadata"]
    return call_of_record("chat", record, request, as_answer(answered, envelope), None)


def read_batch_output(record: Mapping[str, Any], requests: Mapping[str, Any]) -> ForeignCall:
    """Read a line of a batch's output; its request is in the batch's input, by ``custom_id``."""
    custom_id = text_at(record, "custom_id") or ""
    request = requests.get(custom_id)
    if request is None and "body" in record and "response" not in record:
        raise EventError(
            Reason.MISSING_FIELD,
            f"the input of a batch (custom_id {custom_id!r}): import the output file and name this "
            "one with --requests",
        )
    if request is None:
        wanting = "is in no file" if not requests else "is not in the file"
        raise EventError(
            Reason.NO_INPUT,
            f"batch output without its request: custom_id {custom_id!r} {wanting} of --requests",
        )
    return call_of_record("batch", record, chat_request_of(request), *_response_of(record))


def read_response_alone(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a response that is a line of its own; only a Responses object may hold its input."""
    kind = text_at(record, "object") or ""
    if kind == "response":
        request_fields = {
            key: record[key] for key in ("input", "instructions", "model") if key in record
        }
        response, error = chat_response_of(dict(record))
        if "input" not in request_fields:
            raise EventError(Reason.NO_INPUT, "a Responses object without its input")
        return call_of_record("responses", record, chat_request_of(request_fields), response, error)
    if kind.endswith(".chunk") or "choices" not in record:
        raise EventError(
            Reason.NOT_A_CALL,
            "a streamed chunk on a line of its own: put a call's request and the list of its "
            "chunks on one line",
        )
    if isinstance(nested_json(record.get("messages")), list):
        request = chat_request_of({"model": record.get("model"), "messages": record["messages"]})
        response, error = chat_response_of(
            {key: value for key, value in record.items() if key != "messages"}
        )
        return call_of_record("openai", record, request, response, error)
    raise EventError(Reason.NO_INPUT, "a chat completion without its request")


def call_of_record(
    name: str,
    record: Mapping[str, Any],
    request: JsonObject,
    response: JsonObject | None,
    error: str | None,
) -> ForeignCall:
    """Build the call that a record holds, with what else the record says in the usual places."""
    times = [record.get(key) for key in _TIMES]
    if response is not None:
        times += [response.get("created"), response.get("created_at")]
    conversation = dict_at(request, "conversation").get("id") or request.get("conversation")
    return ForeignCall(
        format=name,
        request=request,
        response=response,
        error=error,
        times=tuple(times),
        model=text_at(response, "model") or text_at(request, "model"),
        client_id=text_at(record, "client_id"),
        workload_id=text_at(record, "workload_id"),
        trace_id=text_at(record, "trace_id"),
        conversation_id=_first_text(record, "conversation_id", "session_id", "thread_id")
        or (conversation if isinstance(conversation, str) else None)
        or _first_text(dict_at(request, "metadata"), "conversation_id", "session_id", "thread_id")
        or _first_text(dict_at(record, "metadata"), "conversation_id", "session_id", "thread_id"),
        latency_ms=milliseconds(number_at(record, "latency_ms")),
        event_fields={key: record[key] for key in _EVENT_FIELDS if record.get(key) is not None},
    )


def _response_of(record: Mapping[str, Any]) -> tuple[JsonObject | None, str | None]:
    # An error beside the response is the call's, whatever the response says.
    response, error = chat_response_of(record.get("response"))
    return response, error_text(record["error"]) if record.get("error") else error


def _first_text(value: Mapping[str, Any], *keys: str) -> str | None:
    return next((text for key in keys if (text := text_at(value, key))), None)
