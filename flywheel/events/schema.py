"""The events, version 1, as msgspec reads and writes them.

Requests and responses stay the exact JSON text they came as (`msgspec.Raw`), so that they can be
replayed. Every bound that msgspec can check is stated here and checked in C.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

__all__ = [
    "FEEDBACK_TOPIC",
    "INFERENCES_TOPIC",
    "MAXIMUM_COMMENT",
    "TOPIC_PARTITIONS",
    "FeedbackEvent",
    "FeedbackKind",
    "InferenceEvent",
    "NvidiaRecord",
    "Route",
    "Usage",
    "encode",
]

INFERENCES_TOPIC = "flywheel.inferences"
FEEDBACK_TOPIC = "flywheel.feedback"
TOPIC_PARTITIONS = 4

Route = Literal["champion", "canary", "shadow", "fallback", "escalation"]
FeedbackKind = Literal["boolean", "float", "comment", "demonstration"]
MAXIMUM_COMMENT = 10_000  # characters: more is not a remark on one answer
# Ids and authors become keys, file names and columns that people read. Ingest refuses every
# character that `str.isprintable` refuses; these are the ones that a pattern can name briefly.
_PRINTABLE = {
    "pattern": r"^[^\u0000-\u001f\u007f-\u00a0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
}
_Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="1 to 200 printable characters",
        extra_json_schema=_PRINTABLE,
    ),
]
_Author = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="who said it: 1 to 200 printable characters",
        extra_json_schema=_PRINTABLE,
    ),
]
_Time = Annotated[datetime, Meta(tz=True, description="event time, with its offset from UTC")]
# What ingest checks inside the texts that stay raw, for the published schema.
_Request = Annotated[
    Raw,
    Meta(
        description="an OpenAI chat-completion request, exactly as it was sent; the text of its "
        "last user message is the input: not empty, without the character U+0000, and at most "
        "`limits.input_characters` of the workload long",
        extra_json_schema={
            "type": "object",
            "required": ["messages"],
            "properties": {
                "messages": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["role"],
                        "properties": {"role": {"type": "string"}},
                    },
                    "contains": {
                        "required": ["role", "content"],
                        "properties": {"role": {"const": "user"}},
                    },
                }
            },
        },
    ),
]
_Response = Annotated[
    Raw,
    Meta(
        description="the OpenAI chat-completion response, exactly as it came; null after an error",
        extra_json_schema={"type": ["object", "null"]},
    ),
]
_Answer = Annotated[Raw, Meta(description="the parsed answer, null where it could not be parsed")]
_Value = Annotated[
    Raw,
    Meta(
        description="true or false, a number, a comment of at most 10,000 characters, or the right "
        "answer (a label's name or an object); never null"
    ),
]
_Tokens = Annotated[int, Meta(ge=0, le=2**31)]


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Token counts of one answer, as OpenAI names them."""

    prompt_tokens: _Tokens | None = None
    completion_tokens: _Tokens | None = None
    total_tokens: _Tokens | None = None


class InferenceEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One answer that a model gave in production.

    ``output`` is the parsed answer as JSON text, ``null`` where the answer could not be parsed.
    ``margin`` is the answer's probability less that of the runner-up (for an extraction that of the
    least sure field), where the model server reports one. ``conversation_id`` names the dialog that
    the call is part of. ``shadow_of`` says that a caller received another answer than this one.
    What a producer cannot know (an imported log has no route) it states as null.
    """

    inference_id: _Id
    schema_version: Annotated[Literal[1], Meta(description="version of the contract")] = 1
    timestamp: _Time
    workload_id: Annotated[str, Meta(description="the workload that was asked")]
    workload_revision: Annotated[
        str | None, Meta(description="revision of the workload file that the caller used")
    ] = None
    client_id: Annotated[str, Meta(description="application, line or plant that asked")]
    subject_id: Annotated[
        str | None, Meta(description="the person concerned; stored as a keyed hash")
    ] = None
    trace_id: Annotated[str | None, Meta(description="trace of the call in other systems")] = None
    conversation_id: Annotated[str | None, Meta(description="dialog that the call is part of")] = (
        None
    )
    route: Annotated[
        Route | None, Meta(description="why this release answered; null where it is not known")
    ]
    release: Annotated[
        str | None,
        Meta(
            description="release that answered: the name of an adapter, base, or for the route "
            "escalation the name of a tier"
        ),
    ]
    base_model: Annotated[str | None, Meta(description="base model under the adapter")]
    request: _Request
    response: _Response
    output: _Answer
    confidence: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="probability of the answer among the allowed answers"),
    ] = None
    margin: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="probability of the answer less that of the runner-up"),
    ] = None
    latency_ms: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="time of the call, in milliseconds")
    ]
    usage: Annotated[Usage | None, Meta(description="token counts")]
    error: Annotated[str | None, Meta(description="what went wrong, where there is no answer")] = (
        None
    )
    shadow_of: Annotated[
        _Id | None,
        Meta(
            description="inference_id of what the caller received instead of this: set on the copy "
            "that a shadow answered, and on an attempt that was followed by another answer"
        ),
    ] = None


class FeedbackEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What someone said about an answer, perhaps days later; ``value`` depends on ``kind``."""

    feedback_id: _Id
    schema_version: Annotated[Literal[1], Meta(description="version of the contract")] = 1
    timestamp: _Time
    workload_id: Annotated[str, Meta(description="the workload that was asked")]
    inference_id: _Id
    kind: Annotated[FeedbackKind, Meta(description="what the value is")]
    value: _Value
    author: _Author


class NvidiaRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The log record of NVIDIA's data flywheel; its time is in epoch seconds or RFC 3339."""

    timestamp: Annotated[float, Meta(ge=0)] | _Time
    workload_id: str
    client_id: str
    request: Raw
    response: Raw


_ENCODER = msgspec.json.Encoder()


def encode(event: InferenceEvent | FeedbackEvent | NvidiaRecord) -> bytes:
    """Write an event as the JSON that goes into the log."""
    return _ENCODER.encode(event)
