"""`read_call`: which format a record is of, and the call in it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.call import ForeignCall
from flywheel.events.foreign.json_text import describe, dict_at
from flywheel.events.foreign.langfuse import is_langfuse, read_langfuse
from flywheel.events.foreign.litellm import is_litellm, read_litellm
from flywheel.events.foreign.mlflow_traces import is_mlflow, read_mlflow
from flywheel.events.foreign.openai_logs import (
    read_batch_output,
    read_chat,
    read_pair,
    read_response_alone,
)
from flywheel.events.foreign.openpipe import is_openpipe, read_openpipe
from flywheel.events.foreign.tensorzero import is_tensorzero, read_tensorzero
from flywheel.events.reasons import Reason

__all__ = ["FORMATS", "is_log_table", "read_call"]

Reader = Callable[[Mapping[str, Any], Mapping[str, Any]], ForeignCall]
_Guess = Callable[[Mapping[str, Any]], bool]


def _has(*keys: str) -> _Guess:
    return lambda record: all(key in record for key in keys)


# Name -> what shows that a record is of that format, in the order in which it is asked; and its
# reader. What is most particular comes first.
_READERS: dict[str, tuple[_Guess, Reader]] = {
    "mlflow": (is_mlflow, read_mlflow),
    "openai": (_has("request"), read_pair),
    "openpipe": (is_openpipe, read_openpipe),
    "batch": (_has("custom_id"), read_batch_output),
    "tensorzero": (is_tensorzero, read_tensorzero),
    "litellm": (is_litellm, read_litellm),
    "responses": (lambda record: record.get("object") == "response", read_response_alone),
    "completion": (_has("choices"), read_response_alone),
    "langfuse": (is_langfuse, read_langfuse),
    "chat": (_has("messages"), read_chat),
}
FORMATS = (*_READERS, "nvidia")
# Those that are exported as tables too; MLflow's column `trace` holds the whole trace.
_TABLES = ("tensorzero", "litellm", "langfuse", "openpipe")


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
        EventError: it is not a call, or lacks what a call must have, in its format's own words.
    """
    if not isinstance(record, dict):
        raise EventError(Reason.WRONG_TYPE, f"{describe(record)} is not a record of a call")
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


def is_log_table(columns: Collection[str]) -> bool:
    """Return whether a table with these columns is the export of a platform's log."""
    row = dict.fromkeys(columns, "")
    return {"trace_id", "trace"} <= row.keys() or any(_READERS[name][0](row) for name in _TABLES)


def _with_trace(call: ForeignCall) -> ForeignCall:
    if call.conversation_id is None:
        conversation_id = dict_at(call.request, "metadata").get("conversation_id")
        if isinstance(conversation_id, str) and conversation_id:
            return replace(call, conversation_id=conversation_id)
    return call
