"""Turn decoded events into column lists, ready for Arrow.

Checks that need the request itself are made here: whether there is an input, and how long it is.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from flywheel.answers import canonical_json
from flywheel.errors import EventError
from flywheel.events.codec import Decoded, EventContract
from flywheel.events.reasons import Reason, explain
from flywheel.events.schema import FeedbackEvent, InferenceEvent

__all__ = ["AnswerTexts", "feedback_columns", "inference_columns"]

Event = TypeVar("Event")

_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)
_CACHED_ANSWERS = 4096

_INFERENCE_TEXTS = (
    "inference_id", "schema_version", "timestamp", "workload_id", "workload_revision",
    "client_id", "subject_id", "trace_id", "route", "release", "base_model", "confidence",
    "latency_ms", "error",
)  # fmt: skip
_FEEDBACK_TEXTS = (
    "feedback_id", "schema_version", "timestamp", "workload_id", "inference_id", "kind", "author",
)  # fmt: skip


class _Part(msgspec.Struct, gc=False):
    text: str = ""


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[_Part] | None = None


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message]


_DECODE_REQUEST = msgspec.json.Decoder(_Request).decode


class AnswerTexts:
    """Write answers canonically; most answers of a workload come again and again."""

    def __init__(self) -> None:
        self._seen: dict[bytes, str | None] = {b"null": None}

    def __call__(self, raw: msgspec.Raw) -> str | None:
        """Return canonical JSON text, None for null."""
        key = bytes(raw)
        try:
            return self._seen[key]
        except KeyError:
            text = canonical_json(msgspec.json.decode(key))
            if len(self._seen) < _CACHED_ANSWERS:
                self._seen[key] = text
            return text


def inference_columns(
    decoded: Decoded[InferenceEvent], contract: EventContract, answers: AnswerTexts
) -> dict[str, list[Any]]:
    """Return the event columns of `inferences`, moving events without a usable input aside."""
    inputs: list[str] = []
    outputs: list[str | None] = []
    responses: list[str] = []

    def look(event: InferenceEvent) -> None:
        _check_moment(event.timestamp)
        text = _input_of(event)
        if len(text) > contract.limits[event.workload_id].input_characters:
            raise EventError(Reason.INPUT_TOO_LONG, f"the input has {len(text)} characters")
        response = str(event.response, "utf-8")
        if response[0] != "{" and response != "null":
            raise EventError(Reason.WRONG_TYPE, "Expected `object` - at `$.response`")
        outputs.append(answers(event.output))
        inputs.append(text)
        responses.append(response)

    events = _keep(decoded, look, lambda event: event.request)
    columns: dict[str, list[Any]] = {
        name: [getattr(event, name) for event in events] for name in _INFERENCE_TEXTS
    }
    columns["request"] = [str(event.request, "utf-8") for event in events]
    columns["response"] = responses
    columns["input"] = inputs
    columns["output"] = outputs
    usages = [event.usage for event in events]
    columns["prompt_tokens"] = [usage and usage.prompt_tokens for usage in usages]
    columns["completion_tokens"] = [usage and usage.completion_tokens for usage in usages]
    return columns


def feedback_columns(decoded: Decoded[FeedbackEvent], answers: AnswerTexts) -> dict[str, list[Any]]:
    """Return the event columns of `feedback`."""
    values: list[str | None] = []

    def look(event: FeedbackEvent) -> None:
        _check_moment(event.timestamp)
        values.append(answers(event.value))

    events = _keep(decoded, look, lambda event: event.value)
    columns: dict[str, list[Any]] = {
        name: [getattr(event, name) for event in events] for name in _FEEDBACK_TEXTS
    }
    columns["value"] = values
    return columns


def _keep(
    decoded: Decoded[Event],
    look: Callable[[Event], None],
    part: Callable[[Event], msgspec.Raw],
) -> list[Event]:
    kept: list[Event] = []
    indices: list[int] = []
    for event, index in zip(decoded.events, decoded.indices, strict=True):
        try:
            look(event)
        except EventError as error:
            decoded.reject(index, error)
        except (msgspec.DecodeError, RecursionError) as error:
            decoded.reject(index, explain(error, bytes(part(event))))
        else:
            kept.append(event)
            indices.append(index)
    decoded.events, decoded.indices = kept, indices
    return kept


def _check_moment(moment: datetime) -> None:
    if not _FIRST_MOMENT <= moment < _LAST_MOMENT:
        raise EventError(Reason.BAD_TIMESTAMP, f"{moment.year} is not a year of this platform")


def _input_of(event: InferenceEvent) -> str:
    for message in reversed(_DECODE_REQUEST(event.request).messages):
        if message.role == "user":
            content = message.content
            if isinstance(content, list):
                content = "\n".join(part.text for part in content if part.text)
            if content:
                return content
            break
    raise EventError(Reason.NO_INPUT, "the request has no user message with text")
