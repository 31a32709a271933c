"""`Serving`, `Answered` and `Feedback`: what the gateway answers with, what it answered, what was said."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from flywheel.events.schema import FeedbackKind
from flywheel.gateway.arms import Arm
from flywheel.gateway.batching import Batcher
from flywheel.gateway.calls import TierUse
from flywheel.gateway.chat import ChatRequest, Reply
from flywheel.gateway.escalation import EscalationReason
from flywheel.gateway.portfolio import Portfolio
from flywheel.gateway.shadowing import ShadowCall
from flywheel.gateway.spool import Record
from flywheel.workload.model import Workload

__all__ = ["Answered", "Feedback", "Serving"]


@dataclass(frozen=True)
class Serving:
    """One workload as the gateway serves it: its file, its base model, what answers, further tiers."""

    workload: Workload
    base_name: str
    batcher: Batcher
    portfolio: Portfolio | None = None


@dataclass(frozen=True)
class Answered:
    """A recorded answer with what the response's headers say.

    ``shadow`` is the copy of the request that a shadow release is asked once the answer has left;
    ``failed_arm`` is the canary that failed before the champion answered; ``uses`` is what each
    tier was asked for; ``escalation`` says why a further tier was sought, ``is_ration_spent`` that
    the day's ration kept it from being asked. The record of a streamed
    answer is ``held`` until it is settled; what ``broken_off`` returns takes its place where the stream breaks.
    """

    request: ChatRequest
    text: str
    reply: Reply
    arm: Arm
    shadow: ShadowCall | None = None
    failed_arm: Arm | None = None
    held: Record | None = None
    broken_off: Callable[[], Record] | None = None
    tier: str | None = None
    escalation: EscalationReason | None = None
    is_ration_spent: bool = False
    uses: tuple[TierUse, ...] = ()

    @property
    def release(self) -> str:
        """Name of the release that answered."""
        return self.arm.release


class Feedback(msgspec.Struct, frozen=True):
    """Body of ``POST /v1/feedback``; ``model`` is the workload, ``author`` defaults to the client."""

    model: str
    inference_id: str
    kind: FeedbackKind
    value: Any
    author: str | None = None
