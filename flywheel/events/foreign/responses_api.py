"""`request_of_responses` and `response_of_responses`: OpenAI's Responses API as a chat."""

import json
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.json_text import describe, dict_at, list_at, text_at
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["request_of_responses", "response_of_responses"]


def request_of_responses(value: JsonObject) -> JsonObject:
    """Return a Responses request as a chat request; instructions become the system message.

    Raises:
        EventError: its input is neither a text nor a list.
    """
    content = value["input"]
    system = value.get("instructions")
    messages: list[Any] = []
    if isinstance(system, str) and system:
        messages.append({"role": "system", "content": system})
    if isinstance(content, str):
        messages.append({"role": "user", "content": content})
    elif isinstance(content, list):
        messages += [message for item in content if (message := _message(item)) is not None]
    else:
        raise EventError(
            Reason.NO_INPUT, f"the input of a Responses request is {describe(content)}"
        )
    rest = {key: item for key, item in value.items() if key not in ("input", "instructions")}
    return {**rest, "messages": messages}


def response_of_responses(value: JsonObject) -> tuple[JsonObject | None, str | None]:
    """Return a Responses object as a chat completion, and why it failed where it did.

    Raises:
        EventError: it has no output and does not say why.
    """
    output = value.get("output")
    status = text_at(value, "status")
    if not isinstance(output, list):
        if status in ("failed", "cancelled"):
            return None, f"the response is {status}"
        raise EventError(
            Reason.MISSING_FIELD,
            "a Responses object without output"
            + (f": its output is {describe(output)}" if output is not None else "")
            + (f" (status {status})" if status else ""),
        )
    message = _answer(output)
    usage = dict_at(value, "usage")
    incomplete = text_at(value, "incomplete_details", "reason")
    answer: dict[str, Any] = {"object": "chat.completion"}
    envelope = {
        "id": value.get("id"),
        "created": value.get("created_at", value.get("created")),
        "model": value.get("model"),
    }
    answer |= {key: item for key, item in envelope.items() if item is not None}
    answer["choices"] = [
        {"index": 0, "message": message, "finish_reason": incomplete or "stop"},
    ]
    if usage:
        answer["usage"] = {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
        }
    empty = not any(message.get(key) for key in ("content", "refusal", "tool_calls"))
    return answer, f"the response is {status or 'empty'}: no message in it" if empty else None


def _message(item: Any) -> JsonObject | None:
    if not isinstance(item, dict):
        return None
    kind = item.get("type", "message")
    if kind == "message" and isinstance(item.get("role"), str):
        role = "system" if item["role"] == "developer" else item["role"]
        return {"role": role, "content": _content(item.get("content"))}
    if kind == "function_call_output":
        return {"role": "tool", "content": _content(item.get("output"))}
    if kind == "function_call":
        return {"role": "assistant", "content": None, "tool_calls": [_call(item)]}
    return None  # reasoning and other items that are not messages


def _content(content: Any) -> Any:
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    return [
        {"type": "text", "text": part["text"]}
        for part in content
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _answer(output: list[Any]) -> JsonObject:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls = []
    for item in output:
        for part in list_at(item, "content") if text_at(item, "type") == "message" else []:
            if text_at(part, "type") == "refusal":
                message["refusal"] = text_at(part, "refusal")
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                message["content"] = (message["content"] or "") + part["text"]
        if isinstance(item, dict) and item.get("type") == "function_call":
            calls.append(_call(item))
    return message | ({"tool_calls": calls} if calls else {})


def _call(item: JsonObject) -> JsonObject:
    arguments = item.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    function = {"name": text_at(item, "name") or "", "arguments": arguments}
    return {"id": text_at(item, "call_id") or "", "type": "function", "function": function}
