"""`call_event` and `feedback_event`: the events of a call, from what an application holds of it."""

import json
from datetime import datetime
from typing import Any, TypedDict

import msgspec

from flywheel.errors import EventError
from flywheel.events.foreign.subjects import hash_subject, hide_subject
from flywheel.events.ids import event_id
from flywheel.events.reasons import Reason
from flywheel.events.schema import FeedbackEvent, FeedbackKind, InferenceEvent, Route, Usage

__all__ = ["CallFields", "call_event", "feedback_event", "json_text"]

# Made once: `json.dumps` makes an encoder for every text.
_WRITE_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class CallFields(TypedDict, total=False):
    """What an application may know about a call beside its request and response.

    ``inference_id`` defaults to a new id and ``timestamp`` to now; ``subject`` is the person
    concerned, as the application knows them, and leaves the process only as a keyed hash.
    """

    inference_id: str
    timestamp: datetime
    client_id: str
    subject: str
    trace_id: str
    conversation_id: str
    workload_revision: str
    route: Route
    release: str
    base_model: str
    confidence: float
    margin: float
    latency_ms: float
    error: str
    shadow_of: str


def call_event(
    workload_id: str,
    *,
    request: Any,
    response: Any,
    output: Any,
    fields: CallFields,
    hash_key: str,
) -> InferenceEvent:
    """Build the event of one call.

    Args:
        workload_id: the workload that the call belongs to.
        request: OpenAI chat-completion request, as a mapping or an object of the SDK.
        response: the response to it; None after an error.
        output: the parsed answer; None where it could not be parsed.
        fields: what else is known; ``client_id`` and ``timestamp`` must be there.
        hash_key: key of the hash that stands for the person concerned.

    Raises:
        EventError: a part cannot be written as JSON, or the usage holds no counts.
    """
    plain_request, plain_response = _plain(request), _plain(response)
    subject = fields.get("subject")
    hashed = None if subject is None else hash_subject(subject, hash_key)
    if subject is not None and hashed is not None and isinstance(plain_request, dict):
        plain_request = hide_subject(plain_request, subject, hashed)
    moment = fields["timestamp"]
    return InferenceEvent(
        inference_id=fields.get("inference_id") or event_id(moment),
        timestamp=moment,
        workload_id=workload_id,
        workload_revision=fields.get("workload_revision"),
        client_id=fields["client_id"],
        subject_id=hashed,
        trace_id=fields.get("trace_id"),
        conversation_id=fields.get("conversation_id"),
        route=fields.get("route"),
        release=fields.get("release"),
        base_model=fields.get("base_model"),
        request=json_text("request", plain_request),
        response=json_text("response", plain_response),
        output=json_text("output", output),
        confidence=fields.get("confidence"),
        margin=fields.get("margin"),
        latency_ms=fields.get("latency_ms"),
        usage=_usage(plain_response),
        error=fields.get("error"),
        shadow_of=fields.get("shadow_of"),
    )


def feedback_event(
    workload_id: str,
    inference_id: str,
    *,
    kind: FeedbackKind,
    value: Any,
    author: str,
    moment: datetime,
) -> FeedbackEvent:
    """Build the event of what someone said about an answer; EventError: the value is not JSON."""
    return FeedbackEvent(
        feedback_id=event_id(moment),
        timestamp=moment,
        workload_id=workload_id,
        inference_id=inference_id,
        kind=kind,
        value=json_text("value", value),
        author=author,
    )


def _plain(value: Any) -> Any:
    # The objects of OpenAI's SDK are pydantic models.
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", exclude_unset=True) if callable(dump) else value


def json_text(name: str, value: Any) -> msgspec.Raw:
    """Write a value as JSON text; an EventError says which part of the event cannot be."""
    try:
        return msgspec.Raw(_WRITE_JSON(value).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise EventError(
            Reason.WRONG_TYPE,
            f"The event was not sent: {name} cannot be written as JSON: {error}.",
            next_step="pass texts, finite numbers, booleans, lists and mappings",
        ) from error


def _usage(response: Any) -> Usage | None:
    usage = response.get("usage") if isinstance(response, dict) else None
    try:
        return None if usage is None else msgspec.convert(usage, Usage)
    except msgspec.ValidationError as error:
        raise EventError(
            Reason.WRONG_TYPE,
            f"The event was not sent: usage of the response: {error}.",
            next_step="give token counts as whole numbers, or leave usage out",
        ) from error
