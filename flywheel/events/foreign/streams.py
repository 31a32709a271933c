"""`assemble`: one chat completion from the chunks of a streamed answer."""

import json
import re
from collections.abc import Sequence
from typing import Any

from flywheel.events.foreign.json_text import dict_at, list_at, text_at
from flywheel.io.records import JsonObject

__all__ = ["assemble", "chunks_of_text"]

# Of server-sent events: a text inside may hold what Python counts as an end of line, as U+2028.
_LINE_END = re.compile(r"\r\n|\n|\r")
_ENDED = ("response.completed", "response.incomplete", "response.failed")


def chunks_of_text(text: str) -> list[Any]:
    """Return the objects of a server-sent event stream."""
    chunks = []
    for line in _LINE_END.split(text):
        content = line.removeprefix("data:").strip()
        if line.startswith("data:") and content.startswith("{"):
            try:
                chunks.append(json.loads(content))
            except (ValueError, RecursionError):
                continue  # a line that was cut off; the others still say the answer
    return chunks


def assemble(chunks: Sequence[JsonObject]) -> JsonObject | None:
    """Return the answer that chunks make up, or None where they are not chunks.

    Takes chunks of chat completions and completions, and the events of a Responses stream, whose
    last one holds the whole response.
    """
    for chunk in reversed(chunks):
        if chunk.get("type") in _ENDED:
            return dict_at(chunk, "response")
    streamed = [chunk for chunk in chunks if isinstance(chunk.get("choices"), list)]
    if not any(_is_chunk(chunk) for chunk in streamed):
        return None
    message, finish = _message(streamed)
    answer: dict[str, Any] = {"object": "chat.completion"}
    for key in ("id", "created", "model", "usage", "error"):
        values = [chunk[key] for chunk in streamed if chunk.get(key)]
        if values:
            answer[key] = values[-1]
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": finish}]
    return answer


def _message(streamed: Sequence[JsonObject]) -> tuple[JsonObject, str | None]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    calls: dict[int, dict[str, Any]] = {}
    finish = None
    for chunk in streamed:
        choice: dict[str, Any] = next((one for one in chunk["choices"] if _is_first(one)), {})
        delta = dict_at(choice, "delta")
        pieces = delta or {"content": choice.get("text")}
        for key in ("content", "refusal"):
            if isinstance(pieces.get(key), str):
                message[key] = (message.get(key) or "") + pieces[key]
        for piece in list_at(delta, "tool_calls"):
            _add_call(calls, piece)
        if dict_at(delta, "function_call"):
            _add_call(calls, {"function": delta["function_call"]})
        finish = text_at(choice, "finish_reason") or finish
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message, finish


def _is_chunk(chunk: JsonObject) -> bool:
    first = next(iter(chunk["choices"]), None)
    named = (
        str(chunk.get("object", "")).endswith(".chunk") or chunk.get("object") == "text_completion"
    )
    return named or (isinstance(first, dict) and "delta" in first and "message" not in first)


def _is_first(choice: Any) -> bool:
    return isinstance(choice, dict) and choice.get("index", 0) in (0, None)


def _add_call(calls: dict[int, JsonObject], piece: Any) -> None:
    index = piece.get("index") if isinstance(piece, dict) else None
    call = calls.setdefault(
        index if type(index) is int else 0,
        {"type": "function", "function": {"name": "", "arguments": ""}},
    )
    if text_at(piece, "id"):
        call["id"] = text_at(piece, "id")
    function = dict_at(piece, "function")
    for key in ("name", "arguments"):
        if isinstance(function.get(key), str):
            call["function"][key] += function[key]
