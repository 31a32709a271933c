"""The input of a chat request: the last user message, or the conversation as a thread."""

from collections.abc import Sequence

import msgspec

from flywheel.errors import EventError
from flywheel.events.reasons import Reason
from flywheel.workload.conversation import thread_of_messages

__all__ = ["input_of", "plain_inputs", "thread_of"]


class _Part(msgspec.Struct, gc=False):
    text: str = ""


class _Message(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message]


class _TextMessage(msgspec.Struct, gc=False):
    role: str
    content: str | None = None


class _TextRequest(msgspec.Struct, gc=False):
    messages: list[_TextMessage]


# Most requests hold texts alone. In others, only the content of the input need be of our form.
_DECODE_TEXTS = msgspec.json.Decoder(_TextRequest).decode
_DECODE_REQUEST = msgspec.json.Decoder(_Request).decode
_DECODE_CONTENT = msgspec.json.Decoder(str | list[_Part] | None).decode


def plain_inputs(requests: Sequence[msgspec.Raw]) -> list[str] | None:
    """Return the inputs of requests that end with a user's text; None where one is of another kind."""
    inputs = []
    try:
        for request in map(_DECODE_TEXTS, requests):
            last = request.messages[-1]
            if last.role != "user" or not last.content:
                return None
            inputs.append(last.content)
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
        return None
    return inputs


def input_of(request: msgspec.Raw) -> str:
    """Return the text of a chat request's last user message; EventError where there is none."""
    try:
        messages = _DECODE_TEXTS(request).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _input_among_parts(request)
    for message in reversed(messages):
        if message.role == "user":
            if message.content:
                return message.content
            break
    raise _no_input()


def thread_of(request: msgspec.Raw, limit: int) -> str:
    """Return a chat request's conversation as a thread; EventError where no user said anything.

    Args:
        request: JSON of the request.
        limit: characters, see `flywheel.workload.conversation.write_thread`.
    """
    input_of(request)  # what is an input is the same for every workload
    thread = thread_of_messages(msgspec.json.decode(request)["messages"], limit)
    if not thread:
        raise _no_input()
    return thread


def _input_among_parts(request: msgspec.Raw) -> str:
    for message in reversed(_DECODE_REQUEST(request).messages):
        if message.role == "user":
            content: str | list[_Part] | None = _DECODE_CONTENT(message.content)
            if isinstance(content, list):
                content = "\n".join(part.text for part in content if part.text)
            if content:
                return content
            break
    raise _no_input()


def _no_input() -> EventError:
    return EventError(Reason.NO_INPUT, "the request has no user message with text")
