"""The simulated application: it writes an event per answer, and now and then it complains.

The events hold what a real client would know. Feedback is different: a person at the plant sees
that an answer is wrong, so that the simulated one looks at the truth, and its author says
``simulated``.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flywheel.errors import DataError
from flywheel.events import (
    FeedbackEvent,
    InferenceEvent,
    Usage,
    chat_request,
    chat_response,
    event_id,
    raw_json,
)
from flywheel.ports.model_server import Answer
from flywheel.simulation.traffic import SimulatedCall
from flywheel.workload.model import Workload

__all__ = ["client_feedback", "inference_event"]

_THUMB_UP_SHARE = 0.03
_MISTAKEN_THUMB_SHARE = 0.004


def inference_event(
    call: SimulatedCall,
    answer: Answer,
    *,
    workload: Workload,
    release: str,
    base_model: str,
    route: Any = "champion",
) -> InferenceEvent:
    """Build the event of one answered call; nothing of the truth is in it."""
    return InferenceEvent(
        inference_id=call.inference_id,
        timestamp=call.timestamp,
        workload_id=workload.id,
        workload_revision=workload.revision,
        client_id=call.client_id,
        subject_id=call.subject_id,
        route=route,
        release=release,
        base_model=base_model,
        request=chat_request(workload, call.text, model=release),
        response=chat_response(
            answer.text,
            model=release,
            response_id=call.inference_id,
            created=call.timestamp,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
        ),
        output=raw_json(answer.output),
        # Products of rounded probabilities can pass 1 by the last bit.
        confidence=min(max(answer.confidence, 0.0), 1.0),
        margin=answer.margin,
        latency_ms=answer.seconds * 1000,
        usage=Usage(
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            total_tokens=answer.prompt_tokens + answer.completion_tokens,
        ),
        error=answer.error,
    )


def client_feedback(
    calls: Sequence[SimulatedCall],
    outputs: Sequence[Any],
    *,
    workload: Workload,
    seed: int,
    share: float = 0.15,
) -> list[FeedbackEvent]:
    """Return what simulated clients say about answers, minutes to two days later.

    Args:
        calls: what was asked.
        outputs: the parsed answers, in the same order; None where one could not be parsed.
        workload: whose label decides whether an answer is clearly wrong.
        seed: same seed, same feedback, however the calls are cut into batches.
        share: share of the clearly wrong answers that someone complains about.
    """
    if len(calls) != len(outputs):
        raise DataError(f"{len(calls)} calls came with {len(outputs)} answers.")
    events = []
    for call, output in zip(calls, outputs, strict=True):
        rng = random.Random(f"feedback:{seed}:{call.inference_id}")  # noqa: S311 - a simulation
        reaction = _reaction(rng, call, output, workload, share)
        if reaction is None:
            continue
        moment = call.timestamp + timedelta(minutes=round(rng.uniform(3, 2 * 24 * 60)))
        events.append(
            FeedbackEvent(
                feedback_id=event_id(moment, rng),
                timestamp=moment,
                workload_id=workload.id,
                inference_id=call.inference_id,
                kind=reaction[0],
                value=raw_json(reaction[1]),
                author=f"simulated:{call.client_id}",
            )
        )
    return events


def _reaction(
    rng: random.Random, call: SimulatedCall, output: Any, workload: Workload, share: float
) -> tuple[Any, Any] | None:
    dice = rng.random()
    if workload.label_of(output) == workload.label_of(call.truth):
        if dice < _MISTAKEN_THUMB_SHARE:
            return "boolean", False
        return ("boolean", True) if dice < _THUMB_UP_SHARE else None
    if dice >= share:
        return None
    kind = rng.choices(("boolean", "comment", "demonstration"), weights=(0.6, 0.25, 0.15))[0]
    label = workload.label_of(call.truth) or ""
    if kind == "demonstration" and workload.taxonomy and label in workload.taxonomy.names:
        return kind, call.truth
    if kind == "comment":
        return kind, f"Wrong: this is about {label}."
    return "boolean", False
