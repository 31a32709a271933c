"""`chat_request_of` and `chat_response_of`: whatever was asked and answered, as a chat.

What is a chat already is returned as the very object that was given, so that it can be stored
exactly as it was written.
"""

from collections.abc import Mapping
from typing import Any

from flywheel.errors import EventError
from flywheel.events.foreign.json_text import describe, nested_json, text_at
from flywheel.events.foreign.responses_api import request_of_responses, response_of_responses
from flywheel.events.foreign.streams import assemble, chunks_of_text
from flywheel.events.reasons import Reason
from flywheel.io.records import JsonObject

__all__ = ["as_answer", "chat_request_of", "chat_response_of", "error_text"]

_HTTP_ERROR = 400


def chat_request_of(value: Any) -> JsonObject:
    """Return a request as a chat: chat, Responses, completion, a list of messages, or a text.

    Raises:
        EventError: it is none of these.
    """
    value = nested_json(value)
    if isinstance(value, str) and value.strip():
        return {"messages": [{"role": "user", "content": value}]}
    if isinstance(value, list):
        return {"messages": value}
    if not isinstance(value, dict):
        raise EventError(Reason.NO_INPUT, f"the request is {describe(value)}")
    if isinstance(value.get("messages"), list):
        return value
    if "messages" in value:
        messages = nested_json(value["messages"])
        if not isinstance(messages, list):
            raise EventError(Reason.WRONG_TYPE, f"the request's messages are {describe(messages)}")
        return value | {"messages": messages}
    if "input" in value:
        return request_of_responses(value)
    if "prompt" in value:
        return _completion_request(value)
    raise EventError(
        Reason.NO_INPUT,
        f"a request without messages, input and prompt: it is {describe(value)}",
    )


def chat_response_of(value: Any, *, failed: bool = False) -> tuple[JsonObject | None, str | None]:
    """Return a response as a chat completion, and why the call failed where it did.

    Takes chat completions, completions, Responses, lists and texts of streamed chunks, messages,
    plain texts, error objects and what a batch wraps around them. A call that is known to have
    ``failed`` need not have a response.

    Raises:
        EventError: it is none of these.
    """
    if failed and not value:
        return None, None
    if value is None:
        return None, "the response is null"
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, list):
        return _of_list(value)
    if isinstance(value, dict):
        return _of_object(value)
    raise EventError(Reason.WRONG_TYPE, f"the response is {describe(value)}")


def as_answer(message: Mapping[str, Any] | str, envelope: Mapping[str, Any]) -> JsonObject:
    """Wrap an assistant's message into a chat completion with the id, model and usage known."""
    if isinstance(message, str):
        message = {"content": message}
    content = {key: message[key] for key in ("content", "tool_calls", "refusal") if key in message}
    answer: dict[str, Any] = {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None} | content,
                "finish_reason": message.get("stop_reason") or "stop",
            }
        ],
    }
    named = {key: envelope[key] for key in ("id", "created", "model") if envelope.get(key)}
    # Without an id the call's identity is the digest of its response, and that must not change.
    if "id" in named and isinstance(envelope.get("usage"), dict):
        named["usage"] = envelope["usage"]
    return named | answer


def error_text(error: Any) -> str:
    """Write an error object as one line."""
    if isinstance(error, dict):
        named = (text_at(error, key) for key in ("message", "detail", "type", "code"))
        return next((text for text in named if text), describe(error))[:500]
    return (error.strip() if isinstance(error, str) else describe(error))[:500] or "error"


def _completion_request(value: JsonObject) -> JsonObject:
    prompt = value["prompt"]
    if isinstance(prompt, list) and len(prompt) == 1:
        (prompt,) = prompt
    if not isinstance(prompt, str):
        raise EventError(Reason.NO_INPUT, f"the prompt of a completion is {describe(prompt)}")
    rest = {key: item for key, item in value.items() if key != "prompt"}
    return {**rest, "messages": [{"role": "user", "content": prompt}]}


def _of_object(value: JsonObject) -> tuple[JsonObject | None, str | None]:
    if value.get("error"):
        return value, error_text(value["error"])
    if "status_code" in value and "body" in value:
        return _of_batch(value)
    if "choices" in value:
        return _of_choices(value)
    if value.get("object") == "response" or isinstance(value.get("output"), list):
        return response_of_responses(value)
    if "content" in value or "tool_calls" in value:
        return as_answer(value, value), None
    if value:
        raise EventError(
            Reason.UNKNOWN_FORMAT,
            f"a response without choices, output and error: it is {describe(value)}",
        )
    return value, "the response is an empty object"


def _of_text(text: str) -> tuple[JsonObject | None, str | None]:
    stripped = text.strip()
    if stripped.startswith(("data:", "event:")):
        return chat_response_of(chunks_of_text(stripped))
    parsed = nested_json(stripped)
    if isinstance(parsed, dict) and ({"choices", "output", "error", "body"} & parsed.keys()):
        return chat_response_of(parsed)
    if isinstance(parsed, list) and any(isinstance(item, dict) for item in parsed):
        return chat_response_of(parsed)
    if isinstance(parsed, str) and any(mark in stripped for mark in ('"choices"', '"output"')):
        raise EventError(Reason.BAD_JSON, "the response is a string that holds no whole JSON")
    if not stripped:
        return None, "the response is an empty string"
    return as_answer(text, {}), None  # the answer itself


def _of_list(items: list[Any]) -> tuple[JsonObject | None, str | None]:
    if not items:
        return None, "the response is an empty list"
    objects = [item for item in items if isinstance(item, dict)]
    assembled = assemble(objects) if objects else None
    if assembled is not None:
        return chat_response_of(assembled)
    answers = [item for item in objects if item.get("role") in ("assistant", "ai")]
    if answers:
        return as_answer(answers[-1], {}), None
    if objects and len(objects) == len(items) and all("type" in item for item in objects):
        return as_answer({"content": objects}, {}), None  # the parts of one message
    raise EventError(Reason.WRONG_TYPE, "the response is a list, neither of chunks nor of messages")


def _of_batch(value: JsonObject) -> tuple[JsonObject | None, str | None]:
    status = value["status_code"]
    body = nested_json(value["body"])
    response, error = chat_response_of(body)
    if error is None and isinstance(status, int) and status >= _HTTP_ERROR:
        error = f"HTTP status {status}"
    return response, error


def _of_choices(value: JsonObject) -> tuple[JsonObject | None, str | None]:
    choices = value["choices"]
    if not isinstance(choices, list):
        raise EventError(Reason.WRONG_TYPE, f"the response's choices are {describe(choices)}")
    if not choices:
        return value, "the response has no choices"
    first = choices[0]
    if not isinstance(first, dict):
        return value, f"choices[0] is {describe(first)}"
    if "delta" in first and "message" not in first:
        assembled = assemble([value])
        return assembled, None
    message = first.get("message")
    if isinstance(message, dict):
        return value, None
    if isinstance(first.get("text"), str):
        answer = {key: item for key, item in first.items() if key != "text"}
        answer["message"] = {"role": "assistant", "content": first["text"]}
        return {**value, "object": "chat.completion", "choices": [answer, *choices[1:]]}, None
    return value, f"the message of choices[0] is {describe(message)}"
