"""`read_call`: which format a record is of, and the call in it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.json_text import describe, dict_at
from flywheel.events.foreign.openai_logs import (
    read_batch_output,
    read_chat,
    read_litellm,
    read_pair,
    read_response_alone,
)
from flywheel.events.foreign.platform_exports import (
    read_langfuse,
    read_mlflow,
    read_openpipe,
    read_tensorzero,
)
from flywheel.events.reasons import Reason

__all__ = ["FORMATS", "read_call"]

Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], ForeignCall]
_Guess = Callable[[Mapping[str, Any]], bool]


def _has(*keys: str) -> _Guess:
    return lambda record: all(key in record for key in keys)


def _is_tensorzero(record: Mapping[str, Any]) -> bool:
    return ("function_name" in record or "episode_id" in record) and "input" in record


def _is_langfuse(record: Mapping[str, Any]) -> bool:
    named = {"traceId", "projectId", "observations", "sessionId", "startTime"} & record.keys()
    return "input" in record and "output" in record and bool(named)


def _is_mlflow(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("info"), (dict, str)) and "data" in record


def _is_litellm(record: Mapping[str, Any]) -> bool:
    return ("response" in record and "messages" in record) or "call_type" in record


# Name -> what shows that a record is of that format, in the order in which it is asked; and its
# reader. What is most particular comes first.
_READERS: dict[str, tuple[_Guess, Reader]] = {
    "openai": (_has("request"), read_pair),
    "openpipe": (lambda record: "reqPayload" in record or "req_payload" in record, read_openpipe),
    "batch": (_has("custom_id"), read_batch_output),
    "mlflow": (_is_mlflow, read_mlflow),
    "tensorzero": (_is_tensorzero, read_tensorzero),
    "litellm": (_is_litellm, read_litellm),
    "responses": (lambda record: record.get("object") == "response", read_response_alone),
    "completion": (_has("choices"), read_response_alone),
    "langfuse": (_is_langfuse, read_langfuse),
    "chat": (_has("messages"), read_chat),
}
FORMATS = (*_READERS, "nvidia")


def read_call(
    record: Any,
    *,
    format_name: str | None = None,
    requests: Mapping[str, Any] = MappingProxyType({}),
) -> ForeignCall:
    """Read one record of a log.

    Args:
        record: parsed JSON.
        format_name: one of `FORMATS`; None: guessed for each record.
        requests: the requests of a batch by ``custom_id``.

    Raises:
        EventError: it is no call, or lacks what a call must have, in its format's own words.
    """
    if not isinstance(record, dict):
        raise EventError(Reason.WRONG_TYPE, f"{describe(record)} is no record of a call")
    if format_name is not None:
        name = "openai" if format_name == "nvidia" else format_name
        if name == "openai" and "request" not in record and "messages" in record:
            name = "chat"
        return _READERS[name][1](record, requests)
    for guess, reader in _READERS.values():
        if guess(record):
            return _with_trace(reader(record, requests))
    raise EventError(
        Reason.UNKNOWN_FORMAT,
        f"{describe(record)} is of no format that is known: {', '.join(FORMATS)}",
    )


def _with_trace(call: ForeignCall) -> ForeignCall:
    if call.conversation_id is None:
        found = dict_at(call.request, "metadata").get("conversation_id")
        if isinstance(found, str) and found:
            return replace(call, conversation_id=found)
    return call
