"""The contract: what producers write and ingest accepts, its versions and its codec.

Where events lie (logs, lake tables) is left to others; nothing here keeps state.
"""

from flywheel.events.build import chat_request, chat_response, raw_json
from flywheel.events.codec import (
    Decoded,
    EventContract,
    Rejection,
    decode_feedback,
    decode_inferences,
)
from flywheel.events.ids import call_id, derived_id, event_id
from flywheel.events.reasons import Reason
from flywheel.events.schema import (
    FEEDBACK_TOPIC,
    INFERENCES_TOPIC,
    TOPIC_PARTITIONS,
    FeedbackEvent,
    InferenceEvent,
    NvidiaRecord,
    Usage,
    encode,
)

__all__ = [
    "FEEDBACK_TOPIC",
    "INFERENCES_TOPIC",
    "TOPIC_PARTITIONS",
    "Decoded",
    "EventContract",
    "FeedbackEvent",
    "InferenceEvent",
    "NvidiaRecord",
    "Reason",
    "Rejection",
    "Usage",
    "call_id",
    "chat_request",
    "chat_response",
    "decode_feedback",
    "decode_inferences",
    "derived_id",
    "encode",
    "event_id",
    "raw_json",
]
