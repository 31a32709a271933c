"""`check_inference` and `check_feedback`: whether ingest would accept an event, asked by producers."""

from functools import lru_cache

from flywheel.errors import EventError
from flywheel.events.codec import Decoded, EventContract, decode_feedback, decode_inferences
from flywheel.events.columns import AnswerTexts, feedback_columns, keep_usable
from flywheel.events.schema import FeedbackEvent, InferenceEvent
from flywheel.workload.conversation import InputForm
from flywheel.workload.model import Limits

__all__ = ["check_feedback", "check_inference"]


def check_inference(
    value: bytes, workload_id: str, limits: Limits, form: InputForm = "last_user"
) -> None:
    """Raise the EventError that would make these bytes a dead letter."""
    contract = _contract(workload_id, limits, form)
    decoded = decode_inferences([value], contract)
    keep_usable(decoded, contract, AnswerTexts())
    _require_accepted(decoded)


def check_feedback(value: bytes, workload_id: str, limits: Limits) -> None:
    """Raise the EventError that would make these bytes a dead letter."""
    decoded = decode_feedback([value], _contract(workload_id, limits, "last_user"))
    feedback_columns(decoded, AnswerTexts())
    _require_accepted(decoded)


@lru_cache
def _contract(workload_id: str, limits: Limits, form: InputForm) -> EventContract:
    # Kept: a producer asks for every event of a few workloads.
    threads = [workload_id] if form == "conversation" else []
    return EventContract.of_limits({workload_id: limits}, threads)


def _require_accepted(decoded: Decoded[InferenceEvent] | Decoded[FeedbackEvent]) -> None:
    for rejection in decoded.rejections:
        raise EventError(rejection.reason, rejection.error)
