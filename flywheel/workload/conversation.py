"""Conversations as inputs: `thread_of_messages` writes the turns of a chat request as one text.

A thread is what people read, and what is stored, compared and hashed: a line ``User: …`` or
``Assistant: …`` begins a turn, and every further line of it is indented, so that no text of a
client can look like another turn. `read_thread` returns the turns again, exactly.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "TURN_BEGINS",
    "InputForm",
    "Speech",
    "alternating",
    "input_length",
    "plain_input",
    "read_thread",
    "thread_of_messages",
    "write_thread",
]

# What a call is about: its last user message, or all that user and assistant said.
InputForm = Literal["last_user", "conversation"]
Speaker = Literal["user", "assistant"]

_NAMES: Mapping[Speaker, str] = {"user": "User", "assistant": "Assistant"}
_SPEAKERS: Mapping[str, Speaker] = {name: speaker for speaker, name in _NAMES.items()}
# Everything that some reader shows as the start of a line, not the newline alone.
_LINE_END = re.compile("(\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])")
# No-break spaces: whatever shows a text keeps them.
_INDENT = "\u00a0\u00a0"
_INDENTED = re.compile(_LINE_END.pattern + _INDENT)
_NEXT_TURN = re.compile(r"\n(?=(?:User|Assistant): )")
# Where turns begin within a thread, for those who show one.
TURN_BEGINS = re.compile(r"^(?:User|Assistant): ", re.MULTILINE)
_HEAD = re.compile(r"(User|Assistant): ", re.DOTALL)
_LEFT_OUT = re.compile(r"\[\d+ earlier turns? left out\]\n")
# What a chat template writes around a turn, in tokens, counted against the limit in characters.
_AROUND_TURN = 16


@dataclass(frozen=True)
class Speech:
    """What one side said in one turn."""

    speaker: Speaker
    text: str


def write_thread(turns: Iterable[Speech], limit: int | None = None) -> str:
    """Write turns as one text; empty ones are left out.

    Args:
        turns: oldest first.
        limit: characters that all but the last turn must leave room for. The oldest turns are left
            out, whole and up to one of the user, and the first line says how many. The last turn is
            never cut: whoever takes an input refuses one that is too long (`input_length`).
    """
    said = [turn for turn in turns if turn.text.strip()]
    lines = [_line(turn) for turn in said]
    first = 0 if limit is None or not said else _first_within(said, lines, limit)
    kept = "\n".join(lines[first:])
    if not first:
        return kept
    return f"[{first} earlier turn{'' if first == 1 else 's'} left out]\n{kept}"


def read_thread(text: str) -> list[Speech]:
    """Return the turns of a thread; a text that does not begin as one is one turn of the user."""
    text = _LEFT_OUT.sub("", text, count=1) if text.startswith("[") else text
    if _HEAD.match(text) is None:
        return [Speech("user", text)]
    return [_speech(part) for part in _NEXT_TURN.split(text)]


def thread_of_messages(messages: Sequence[Any], limit: int | None = None) -> str:
    """Write the messages of a chat request as a thread.

    What user and assistant said counts. Instructions (system, developer) are the workload's, and
    what tools were asked and answered is not part of what was said: both are left out.

    Args:
        messages: as OpenAI has them, their content a text or a list of parts.
        limit: see `write_thread`.
    """
    return write_thread(_spoken(messages), limit)


def plain_input(form: InputForm, text: str, limit: int) -> str:
    """Return an input that a person wrote down as a call of the same content would have it.

    For a conversation it may be a thread, or a JSON list of messages.
    """
    if form == "last_user":
        return text
    messages = _messages(text)
    return (
        write_thread(read_thread(text), limit)
        if messages is None
        else (thread_of_messages(messages, limit))
    )


def input_length(form: InputForm, text: str) -> int:
    """Return the characters of an input that a limit applies to: of a conversation its last turn."""
    return len(text) if form == "last_user" else len(read_thread(text)[-1].text)


def alternating(turns: Sequence[Speech]) -> list[Speech]:
    """Return turns as every chat template takes them: user and assistant in turn, user last.

    What one side said in a row is one turn. Where the assistant spoke first or last, a turn of the
    user without a text stands before or after it.
    """
    merged: list[Speech] = []
    for turn in turns:
        if merged and merged[-1].speaker == turn.speaker:
            merged[-1] = Speech(turn.speaker, f"{merged[-1].text}\n{turn.text}")
        else:
            merged.append(turn)
    if not merged or merged[0].speaker == "assistant":
        merged.insert(0, Speech("user", ""))
    if merged[-1].speaker == "assistant":
        merged.append(Speech("user", ""))
    return merged


def _first_within(said: Sequence[Speech], lines: Sequence[str], limit: int) -> int:
    # The first turn of the longest end that fits; a shortened thread begins with the user.
    room = limit - len(said[-1].text)
    first = len(said) - 1
    while first and (room := room - len(lines[first - 1]) - _AROUND_TURN) >= 0:
        first -= 1
    while 0 < first < len(said) - 1 and said[first].speaker != "user":
        first += 1
    return first


def _line(turn: Speech) -> str:
    text = _LINE_END.sub(rf"\1{_INDENT}", turn.text)
    return f"{_NAMES[turn.speaker]}: {text}"


def _speech(part: str) -> Speech:
    name, text = part.split(": ", 1)
    return Speech(_SPEAKERS[name], _INDENTED.sub(r"\1", text))


def _spoken(messages: Sequence[Any]) -> Iterator[Speech]:
    for message in messages:
        if isinstance(message, Mapping) and message.get("role") in _NAMES:
            yield Speech(message["role"], _text_of(message.get("content")))


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _messages(text: str) -> list[Any] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_chat = isinstance(value, list) and all(isinstance(m, Mapping) and "role" in m for m in value)
    return value if is_chat and value else None
