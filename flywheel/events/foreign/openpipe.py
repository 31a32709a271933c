"""`read_openpipe`: logged requests of OpenPipe, from its export or its table.

The export holds ``input``, ``output`` and ``tags``; the table ``reqPayload`` and ``respPayload``.
Entries of an OpenPipe data set are chats that end with the answer, which `read_chat` reads.
"""

from collections.abc import Mapping
from typing import Any

from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.chat import chat_request_of, chat_response_of
from flywheel.events.foreign.json_text import (
    dict_at,
    milliseconds,
    nested_json,
    number_at,
    text_at,
)

__all__ = ["is_openpipe", "read_openpipe"]

_HTTP_ERROR = 400
_ANSWERS = ("choices", "error")


def is_openpipe(record: Mapping[str, Any]) -> bool:
    """Return whether a record is a logged request of OpenPipe."""
    if "reqPayload" in record or "req_payload" in record:
        return True
    # Others have input and output too, but not a chat request and its completion as they were.
    input_fields, output_fields = dict_at(record, "input"), dict_at(record, "output")
    return (
        record.keys() <= {"input", "output", "tags"}
        and "messages" in input_fields
        and any(key in output_fields for key in _ANSWERS)
    )


def read_openpipe(record: Mapping[str, Any], _requests: Mapping[str, Any]) -> ForeignCall:
    """Read a logged request of OpenPipe."""
    first = {_snake(key): value for key, value in record.items()}
    request = chat_request_of(first.get("req_payload", first.get("input")))
    status = number_at(first, "status_code")
    failed = text_at(first, "error_message") or (
        f"HTTP status {status:g}" if status is not None and status >= _HTTP_ERROR else None
    )
    raw_response = nested_json(first.get("resp_payload", first.get("output")))
    response, error = chat_response_of(raw_response, failed=failed is not None)
    duration = number_at(first, "duration_ms")
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
        latency_ms=milliseconds(number_at(first, "duration") if duration is None else duration),
    )


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
