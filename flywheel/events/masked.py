"""`mask_inference` and `mask_feedback`: events without the personal data in their texts."""

import msgspec

from flywheel.events.call_event import json_text
from flywheel.events.schema import FeedbackEvent, InferenceEvent
from flywheel.privacy.masking import Masking
from flywheel.workload.privacy import PrivacyRules

__all__ = ["mask_event", "mask_feedback", "mask_inference"]


def mask_event(
    event: InferenceEvent | FeedbackEvent, rules: PrivacyRules | None
) -> InferenceEvent | FeedbackEvent:
    """Return an event masked by a workload's rules; without rules as it is."""
    if rules is None:
        return event
    if isinstance(event, InferenceEvent):
        return mask_inference(event, Masking(rules))
    return mask_feedback(event, Masking(rules))


def mask_inference(event: InferenceEvent, masking: Masking) -> InferenceEvent:
    """Return an event with request, response, output and error masked; hashes and ids stay.

    A part without personal data keeps its bytes. The person concerned is hashed before, so that
    one person keeps one hash.
    """
    return msgspec.structs.replace(
        event,
        request=_masked("request", event.request, masking),
        response=_masked("response", event.response, masking),
        output=_masked("output", event.output, masking),
        error=None if event.error is None else masking.text(event.error),
    )


def mask_feedback(event: FeedbackEvent, masking: Masking) -> FeedbackEvent:
    """Return feedback with its comment or demonstration masked."""
    return msgspec.structs.replace(event, value=_masked("value", event.value, masking))


def _masked(name: str, raw: msgspec.Raw, masking: Masking) -> msgspec.Raw:
    value = msgspec.json.decode(raw)
    masked = masking.value(value)
    return raw if masked == value else json_text(name, masked)
