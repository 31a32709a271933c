"""Turn decoded events into column lists, ready for Arrow; JSON texts stay as they are (`Raw`).

Checks that look inside requests and responses are made here: UTF-8, depth, whether there is an input
and how long it is. What can be checked for many events at once is; only where that finds a fault is
each event looked at.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import numpy as np

from flywheel.errors import EventError
from flywheel.events.codec import Decoded, EventContract
from flywheel.events.inputs import input_of, plain_inputs, thread_of
from flywheel.events.reasons import Reason, any_too_deep, explain, too_deep
from flywheel.events.schema import FeedbackEvent, InferenceEvent
from flywheel.workload.answers import canonical_json
from flywheel.workload.conversation import input_length

__all__ = [
    "AnswerTexts",
    "feedback_columns",
    "inference_columns",
    "keep_usable",
]

Event = TypeVar("Event")

_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)
_CACHED_ANSWERS = 4096
# PostgreSQL holds no text with this character: one such item would stop a batch on its way into
# Label Studio. An even number of backslashes before it belongs to the text itself.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_INFERENCE_TEXTS = (
    "inference_id", "schema_version", "timestamp", "workload_id", "workload_revision",
    "client_id", "subject_id", "trace_id", "conversation_id", "route", "release", "base_model", "confidence",
    "margin", "latency_ms", "error", "shadow_of",
)  # fmt: skip
_FEEDBACK_TEXTS = (
    "feedback_id", "schema_version", "timestamp", "workload_id", "inference_id", "kind", "author",
)  # fmt: skip


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
            if _NUL.search(text):
                raise EventError(Reason.WRONG_VALUE, "it holds the character U+0000") from None
            if len(self._seen) < _CACHED_ANSWERS:
                self._seen[key] = text
            return text


def inference_columns(
    decoded: Decoded[InferenceEvent], contract: EventContract, answers: AnswerTexts
) -> dict[str, list[Any]]:
    """Return the event columns of `inferences`, moving events without a usable input aside."""
    inputs, outputs = keep_usable(decoded, contract, answers)
    events = decoded.events
    columns: dict[str, list[Any]] = {
        name: list(map(attrgetter(name), events)) for name in _INFERENCE_TEXTS
    }
    usages = list(map(attrgetter("usage"), events))
    columns["request"] = list(map(attrgetter("request"), events))
    columns["response"] = list(map(attrgetter("response"), events))
    columns["input"] = inputs
    columns["output"] = outputs
    columns["prompt_tokens"] = [usage and usage.prompt_tokens for usage in usages]
    columns["completion_tokens"] = [usage and usage.completion_tokens for usage in usages]
    return columns


def keep_usable(
    decoded: Decoded[InferenceEvent], contract: EventContract, answers: AnswerTexts
) -> tuple[list[str], list[str | None]]:
    """Move events without a usable input aside; return inputs and answers of those that stay."""
    usable = _if_all_usable(decoded.events, contract, answers)
    return usable or _keep_usable(decoded, contract, answers)


def _if_all_usable(
    events: Sequence[InferenceEvent], contract: EventContract, answers: AnswerTexts
) -> tuple[list[str], list[str | None]] | None:
    # Every check for all events at once, as far as that can be. None: each must be looked at.
    requests, responses = [e.request for e in events], [e.response for e in events]
    outputs, moments = [e.output for e in events], [e.timestamp for e in events]
    workload_ids = {e.workload_id for e in events}
    if (
        not events
        or any(map(any_too_deep, (requests, responses, outputs)))
        or not _are_objects(requests)
        or not _are_objects(responses, or_null=True)
        or not _are_printable([e.inference_id for e in events])
        or not _are_printable([e.shadow_of or "" for e in events])
        or not _FIRST_MOMENT <= min(moments) <= max(moments) < _LAST_MOMENT
        or not contract.conversations.isdisjoint(workload_ids)
    ):
        return None
    inputs = plain_inputs(requests)
    longest = min(contract.limits[name].input_characters for name in workload_ids)
    if inputs is None or max(map(len, inputs)) > longest or "\0" in "".join(inputs):
        return None
    try:
        return inputs, list(map(answers, outputs))
    except (EventError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _keep_usable(
    decoded: Decoded[InferenceEvent], contract: EventContract, answers: AnswerTexts
) -> tuple[list[str], list[str | None]]:
    inputs: list[str] = []
    outputs: list[str | None] = []

    def look(event: InferenceEvent) -> None:
        # The appends come last, and together: an event lands whole or not at all.
        _check_moment(event.timestamp)
        _check_texts(event)
        _check_printable("inference_id", event.inference_id)
        _check_printable("shadow_of", event.shadow_of or "")
        text = _usable_input(event, contract)
        outputs.append(answers(event.output))
        inputs.append(text)

    _keep(decoded, look, ("request", "response", "output"))
    return inputs, outputs


def _usable_input(event: InferenceEvent, contract: EventContract) -> str:
    longest = contract.limits[event.workload_id].input_characters
    if event.workload_id in contract.conversations:
        text = thread_of(event.request, longest)
        length = input_length("conversation", text)
    else:
        text = input_of(event.request)
        length = len(text)
    if "\0" in text:
        raise EventError(Reason.WRONG_VALUE, "the input holds the character U+0000")
    if length > longest:
        raise EventError(Reason.INPUT_TOO_LONG, f"the input has {length} characters")
    return text


def feedback_columns(decoded: Decoded[FeedbackEvent], answers: AnswerTexts) -> dict[str, list[Any]]:
    """Return the event columns of `feedback`."""
    values: list[str | None] = []

    def look(event: FeedbackEvent) -> None:
        _check_moment(event.timestamp)
        for name in ("feedback_id", "inference_id", "author"):
            _check_printable(name, getattr(event, name))
        values.append(answers(event.value))

    events = _keep(decoded, look, ("value",))
    columns: dict[str, list[Any]] = {
        name: list(map(attrgetter(name), events)) for name in _FEEDBACK_TEXTS
    }
    columns["value"] = values
    return columns


def _keep(
    decoded: Decoded[Event], look: Callable[[Event], None], parts: Sequence[str]
) -> list[Event]:
    # Keeps the events that `look` has no complaint about; `parts` are the texts that stayed raw.
    valid: list[Event] = []
    indices: list[int] = []
    getters = [attrgetter(part) for part in parts]
    deep = any(any_too_deep(list(map(part, decoded.events))) for part in getters)
    for event, index in zip(decoded.events, decoded.indices, strict=True):
        try:
            if deep:
                _check_depth([bytes(part(event)) for part in getters])
            look(event)
        except EventError as error:
            decoded.reject(index, error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            decoded.reject(index, explain(error, b"".join(part(event) for part in getters)))
        else:
            valid.append(event)
            indices.append(index)
    decoded.events, decoded.indices = valid, indices
    return valid


def _check_moment(moment: datetime) -> None:
    if not _FIRST_MOMENT <= moment < _LAST_MOMENT:
        raise EventError(Reason.BAD_TIMESTAMP, f"{moment.year} is not a plausible year")


def _are_printable(texts: Sequence[str]) -> bool:
    return "".join(texts).isprintable()  # all at once: a tenth of the time


def _check_printable(name: str, text: str) -> None:
    if not text.isprintable():
        odd = next(character for character in text if not character.isprintable())
        raise EventError(
            Reason.WRONG_VALUE, f"{name} holds U+{ord(odd):04X}, which cannot be printed"
        )


def _are_objects(texts: Sequence[msgspec.Raw], *, or_null: bool = False) -> bool:
    # All at once: each is a JSON object in UTF-8 (the decoder has checked the rest of its syntax,
    # so that no character can reach over the border between two).
    joined = b"".join(texts)
    try:
        joined.decode()
    except UnicodeDecodeError:
        return False
    if len(texts) == 1:  # a producer's own event: the arrays would cost more than the look
        return joined[:1] == b"{" or (or_null and joined == b"null")
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    firsts = np.frombuffer(joined, np.uint8)[np.concatenate(([0], ends[:-1]))]
    # Of all JSON, only null begins with that letter.
    return bool(((firsts == ord("{")) | (or_null and firsts == ord("n"))).all())


def _check_texts(event: InferenceEvent) -> None:
    str(event.request, "utf-8")
    response = str(event.response, "utf-8")
    if response[0] != "{" and response != "null":
        raise EventError(Reason.WRONG_TYPE, "Expected `object` - at `$.response`")


def _check_depth(texts: Sequence[bytes]) -> None:
    if any(map(too_deep, texts)):
        raise EventError(Reason.TOO_DEEP, "nested too deep")
