"""`ChatRequest`, `completion` and `chunks`: OpenAI's chat completions, as the gateway speaks them.

What decides the answer belongs to the workload: its prompt, its grammar, greedy decoding. Sampling
fields of a request are therefore accepted and ignored; fields that ask for something that cannot be
had are refused by name.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from flywheel.errors import EventError
from flywheel.events.inputs import input_of
from flywheel.gateway.api_errors import bad_request
from flywheel.gateway.openai_endpoint import TierAnswer
from flywheel.ports.model_server import Answer
from flywheel.workload.conversation import thread_of_messages
from flywheel.workload.model import Workload

__all__ = ["ChatBody", "ChatRequest", "Reply", "chunks", "completion", "parse_chat"]

_Object = dict[str, Any]


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True):
    """The fields of a chat-completion request that the gateway acts on."""

    model: str
    messages: list[_Object]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    tools: list[_Object] | None = None
    functions: list[_Object] | None = None
    modalities: list[str] | None = None

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with a chunk of token counts."""
        return self.stream_options is not None and self.stream_options.include_usage


@dataclass(frozen=True)
class Reply:
    """One answer on its way to a client."""

    inference_id: str
    workload_id: str
    content: str
    answer: Answer | TierAnswer
    created: datetime

    @property
    def finish_reason(self) -> str:
        """``stop``, or ``length`` where the answer was cut off before it was complete."""
        return "length" if self.answer.output is None else "stop"

    @property
    def usage(self) -> _Object:
        """Token counts, as OpenAI names them."""
        prompt, completion_ = self.answer.prompt_tokens, self.answer.completion_tokens
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion_,
            "total_tokens": prompt + completion_,
        }


@dataclass(frozen=True)
class ChatBody:
    """A request body: the fields that the gateway acts on, its JSON, and the input's text."""

    request: ChatRequest
    body: _Object
    text: str

    def asked_of(self, workload: Workload) -> "ChatBody":
        """Return the body with the text that this workload is asked about."""
        if workload.input == "last_user":
            return self
        limit = workload.limits.input_characters
        return replace(self, text=thread_of_messages(self.request.messages, limit) or self.text)


def parse_chat(content: bytes) -> ChatBody:
    """Read a request body; its text is that of the last user message.

    Raises:
        ApiError: the body is not such a request, or asks for what the gateway cannot do.
    """
    try:
        body = msgspec.json.decode(content)
        request = msgspec.convert(body, ChatRequest)
    except msgspec.ValidationError as error:
        raise bad_request(f"The request does not fit: {error}.", _field_of(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request("The body is not JSON.", code="invalid_json") from error
    _require_supported(request)
    try:
        return ChatBody(request, body, input_of(msgspec.Raw(content)))
    except EventError as error:
        raise bad_request(f"{error.message}.", "messages", code=str(error.reason)) from error
    except msgspec.ValidationError as error:
        raise bad_request(f"messages do not fit: {error}.", "messages") from error


def completion(request: ChatRequest, reply: Reply) -> _Object:
    """Return the body of an answer that is sent at once."""
    choice: _Object = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.content, "refusal": None},
        "logprobs": _logprobs(request, reply),
        "finish_reason": reply.finish_reason,
    }
    return _head(reply, "chat.completion") | {"choices": [choice], "usage": reply.usage}


def chunks(request: ChatRequest, reply: Reply) -> Iterator[_Object]:
    """Return the events of a streamed answer, without the closing ``[DONE]``."""
    head = _head(reply, "chat.completion.chunk")
    usage: _Object = {"usage": None} if request.includes_usage else {}
    deltas: list[tuple[_Object, str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": reply.content}, None),
        ({}, reply.finish_reason),
    ]
    for number, (delta, reason) in enumerate(deltas):
        logprobs = _logprobs(request, reply) if number == 1 else None
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        yield head | {"choices": [choice]} | usage
    if request.includes_usage:
        yield head | {"choices": [], "usage": reply.usage}


def _head(reply: Reply, kind: str) -> _Object:
    return {
        "id": f"chatcmpl-{reply.inference_id}",
        "object": kind,
        "created": int(reply.created.timestamp()),
        "model": reply.workload_id,
    }


def _logprobs(request: ChatRequest, reply: Reply) -> _Object | None:
    # The answer is one step among the allowed answers, and its confidence that step's probability.
    confidence = reply.answer.confidence
    if not request.logprobs or confidence is None:
        return None
    logprob = math.log(confidence) if confidence > 0 else -9999.0  # OpenAI's own lower bound
    content = reply.content
    token = {
        "token": content,
        "logprob": logprob,
        "bytes": list(content.encode()),
        "top_logprobs": [],
    }
    return {"content": [token], "refusal": None}


def _require_supported(request: ChatRequest) -> None:
    defined = "The workload defines the answer: {} are not available."
    rules = (
        ("tools", bool(request.tools), defined.format("tools")),
        ("functions", bool(request.functions), defined.format("functions")),
        (
            "n",
            request.n not in {None, 1},
            "n must be 1: answers are greedy, and a second one would be the same.",
        ),
        (
            "top_logprobs",
            bool(request.top_logprobs),
            "top_logprobs must be 0: only the answer's own probability is known.",
        ),
        ("modalities", request.modalities not in (None, [], ["text"]), "modalities must be text."),
    )
    for name, is_refused, reason in rules:
        if is_refused:
            raise bad_request(reason, name, code="unsupported_value")


def _field_of(error: msgspec.ValidationError) -> str | None:
    _, separator, path = str(error).rpartition("`$.")
    return path.rstrip("`").split(".")[0].split("[")[0] if separator else None
