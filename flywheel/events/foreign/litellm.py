"""`read_litellm`: LiteLLM's standard logging payloads and the rows of its spend logs.

A spend log leaves ``messages`` empty and holds the request in ``proxy_server_request``, and only
where `store_prompts_in_spend_logs` is on. Texts that LiteLLM redacted or cut are no texts of a
client: such a row is refused, with the setting that would keep them.
"""

import re
from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import chat_request_of, chat_response_of, error_text
from flywheel.events.foreign.json_text import (
    describe,
    dict_at,
    milliseconds,
    nested_json,
    number_at,
    text_at,
)
from flywheel.events.foreign.moments import read_moment
from flywheel.events.foreign.openai_logs import call_of_record
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["is_litellm", "read_litellm"]

_NO_CHAT = re.compile(
    r"embedding|image|transcription|speech|moderation|rerank|video|file|batch|search|ocr|vector"
    r"|fine_tun|assistant|thread|mcp"
)
_REDACTED = "redacted-by-litellm"
_CUT = "litellm_truncated"


def is_litellm(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a logging payload or a spend log of LiteLLM."""
    return ("response" in record and "messages" in record) or "call_type" in record


def read_litellm(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read LiteLLM's standard logging payload or a row of its spend logs."""
    kind = text_at(record, "call_type") or ""
    if _NO_CHAT.search(kind):
        raise EventError(Reason.NOT_A_CALL, f"a LiteLLM call of type {kind[:40]}, not a chat")
    failed = text_at(record, "status") == "failure"
    raw_response = nested_json(record.get("response"))
    response, error = chat_response_of(raw_response, failed=failed)
    if failed:
        error = _failure(record) or error or "the call failed"
    if response is not None and not text_at(response, "id"):
        identity = text_at(record, "id") or text_at(record, "request_id")
        response = {**response, "id": identity} if identity else response
    call = call_of_record("litellm", record, _request(record), response, error)
    metadata = dict_at(record, "metadata")
    names = (text_at(metadata, key) for key in ("user_api_key_alias", "user_api_key_team_alias"))
    return ForeignCall(
        **vars(call)
        | {
            "times": (record.get("startTime"), record.get("start_time"), *call.times),
            "client_id": call.client_id or next((name for name in names if name), None),
            "latency_ms": _latency(record),
        }
    )


def _request(record: Mapping[str, Any]) -> JsonObject:
    sent = dict_at(record, "proxy_server_request", "body") or dict_at(
        record, "proxy_server_request"
    )
    messages = nested_json(record.get("messages"))
    if not messages and not sent:
        raise EventError(
            Reason.NO_INPUT,
            f"a LiteLLM record without its request: its messages are {describe(messages)}. Spend "
            "logs hold texts only where general_settings.store_prompts_in_spend_logs is true",
        )
    if messages:
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        parameters = {"model": record.get("model")} | dict_at(record, "model_parameters")
        request = chat_request_of(parameters | {"messages": messages})
    else:
        _check_texts(sent)
        request = chat_request_of(sent)
    _check_texts(request["messages"])
    return request


def _check_texts(request: Any) -> None:
    for text in _texts(request):
        if text.strip() == _REDACTED:
            raise EventError(
                Reason.NO_INPUT,
                "its texts were redacted by LiteLLM (turn_off_message_logging)",
            )
        if _CUT in text:
            raise EventError(
                Reason.NO_INPUT,
                "its texts were cut by LiteLLM (MAX_STRING_LENGTH_PROMPT_IN_DB): a model must not "
                "learn from half a text",
            )


def _texts(value: Any) -> list[str]:
    # Keys too: a whole request that was too long is {"litellm_truncated": true}.
    texts: list[str] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
    return texts


def _failure(record: Mapping[str, Any]) -> str | None:
    message = text_at(record, "error_str")
    for place in (("error_information",), ("metadata", "error_information")):
        details = dict_at(record, *place)
        message = message or text_at(details, "error_message") or text_at(details, "error_class")
    return error_text(message) if message else None


def _latency(record: Mapping[str, Any]) -> float | None:
    seconds = number_at(record, "response_time")
    if seconds is not None:
        return milliseconds(seconds * 1000)
    try:
        start, _ = read_moment(record.get("startTime"))
        end, _ = read_moment(record.get("endTime"))
    except EventError:
        return None
    return milliseconds((end - start).total_seconds() * 1000)
