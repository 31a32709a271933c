"""`LoggedCall`: what an audit needs of one call of a log; `logged_call` takes it from a `ForeignCall`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign import ForeignCall, read_moment
from flywheel.events.foreign.json_text import dict_at, list_at, number_at, text_at
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["LoggedCall", "logged_call"]


@dataclass(frozen=True)
class LoggedCall:
    """Texts, tokens and time of one call; None where the record does not say it.

    ``opening`` is the first text of the user, ``asked`` the last one.
    """

    client: str | None
    model: str | None
    system: str
    opening: str
    asked: str
    answer: str | None
    failed: bool
    input_tokens: float | None
    output_tokens: float | None
    seconds: float | None
    at: datetime | None


def logged_call(call: ForeignCall) -> LoggedCall:
    """Take from a call what an audit needs; a time that cannot be read is None.

    Raises:
        EventError: it holds no text.
    """
    messages = [one for one in list_at(call.request, "messages") if isinstance(one, dict)]
    system = [_text(m.get("content")) for m in messages if m.get("role") in ("system", "developer")]
    user = [_text(m.get("content")) for m in messages if m.get("role") == "user"]
    asked = [text for text in user if text]
    if not (asked or any(system)):
        raise EventError(Reason.NO_INPUT, "a call without any text")
    usage = dict_at(call.response, "usage")
    model = call.model or text_at(call.response, "model") or text_at(call.request, "model")
    milliseconds = call.latency_ms
    return LoggedCall(
        client=call.workload_id or call.client_id,
        model=model,
        system="\n".join(filter(None, system)),
        opening=asked[0] if asked else "",
        asked=asked[-1] if asked else "",
        answer=_answer(call.response),
        failed=call.error is not None or call.response is None,
        input_tokens=_first(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_first(usage, "completion_tokens", "output_tokens"),
        seconds=None if milliseconds is None else milliseconds / 1000,
        at=_moment(call.times),
    )


def _answer(response: JsonObject | None) -> str | None:
    choices = list_at(response, "choices")
    message = dict_at(choices[0] if choices else None, "message")
    content = _text(message.get("content"))
    if content:
        return content
    for tool in list_at(message, "tool_calls"):
        arguments = text_at(dict_at(tool, "function"), "arguments")
        if arguments:
            return arguments
    return text_at(dict_at(message, "function_call"), "arguments")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, (text_at(part, "text") for part in content)))
    return ""


def _first(usage: JsonObject, *names: str) -> float | None:
    counts = (number_at(usage, name) for name in names)
    return next((count for count in counts if count is not None and count >= 0), None)


def _moment(times: Iterable[Any]) -> datetime | None:
    for value in times:
        if value is None or value == "":
            continue
        try:
            return read_moment(value)[0]
        except EventError:
            # The audit's figures stand without the time; the record's other times may be readable.
            continue
    return None
