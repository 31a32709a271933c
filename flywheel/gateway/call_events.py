"""`CallEvents`: the events of one request, one for each arm that was asked.

The event is built and checked once, before anything is asked; every attempt fills in what it adds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from flywheel.clock import Clock
from flywheel.errors import EventError
from flywheel.events import INFERENCES_TOPIC, encode, event_id
from flywheel.events.call_event import CallFields, call_event, json_text
from flywheel.events.check import check_inference
from flywheel.events.foreign.subjects import find_subject
from flywheel.events.masked import mask_inference
from flywheel.events.schema import InferenceEvent, Usage
from flywheel.gateway.api_errors import ApiError, api_error_of, bad_request
from flywheel.gateway.arms import Arm
from flywheel.gateway.batching import Asked
from flywheel.gateway.chat import ChatBody, Reply, completion
from flywheel.gateway.spool import Record
from flywheel.io.records import JsonObject
from flywheel.privacy.masking import Masking
from flywheel.state.api_keys import ApiKey
from flywheel.workload.answers import canonical_json
from flywheel.workload.conversation import input_length
from flywheel.workload.model import Workload
from flywheel.workload.tiers import Tier

__all__ = ["Attempt", "CallEvents"]


@dataclass(frozen=True)
class Attempt:
    """One arm that was asked; it has a ``result`` or a ``failure``.

    ``tier`` and ``base_name`` are those of a tier beyond the first, None for the workload's own base.
    """

    arm: Arm
    inference_id: str
    seconds: float
    result: Asked | None = None
    failure: ApiError | None = None
    tier: Tier | None = None
    base_name: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether there is an answer that fits the workload."""
        return self.result is not None and self.result.answer.output is not None

    def failed(self, failure: ApiError) -> "Attempt":
        """Return the attempt as one whose answer, if there was any, was not received."""
        return replace(self, arm=self.answering_arm, result=None, failure=failure)

    @property
    def answering_arm(self) -> Arm:
        """The arm with the release that did answer: a champion may have changed meanwhile."""
        return self.arm if self.result is None else Arm(self.arm.route, self.result.release)


class CallEvents:
    """Events of one request.

    Args:
        key: whose request it is.
        workload: that was asked.
        base_name: the base model under every arm.
        chat: the request.
        clock: stamps the events.
        hash_key: key of the hash that stands for a person.
        new_id: returns the id of an attempt that is asked at a moment.

    Raises:
        ApiError: ingest would refuse the event; it is refused before it costs.
    """

    def __init__(
        self,
        key: ApiKey,
        workload: Workload,
        base_name: str,
        chat: ChatBody,
        *,
        clock: Clock,
        hash_key: str,
        new_id: Callable[[datetime], str] = event_id,
    ) -> None:
        self._workload_id = workload.id
        self._base_name = base_name
        self._chat = chat
        self._clock = clock
        self._masking = None if workload.privacy is None else Masking(workload.privacy)
        self._masks_answers = workload.privacy is not None and workload.privacy.mask_answers
        self._new_id = new_id
        limit = workload.limits.input_characters
        length = input_length(workload.input, chat.text)
        if length > limit:
            raise bad_request(
                f"The input has {length:,} characters, the workload allows {limit:,}.",
                "messages",
                code="input_too_long",
            )
        try:
            moment = clock.now()
            identity = CallFields(inference_id=new_id(moment), timestamp=moment)
            self._event = self._masked(_bare_event(key, workload, chat, identity, hash_key))
            check_inference(encode(self._event), workload.id, workload.limits, workload.input)
        except EventError as error:
            raise api_error_of(error) from error

    @property
    def first_id(self) -> str:
        """Id of the first attempt."""
        return self._event.inference_id

    @property
    def unit(self) -> str:
        """Who is assigned to an arm as one.

        The person, within the client; without one the conversation; without both this request.
        """
        event = self._event
        if event.subject_id is not None:
            return f"{event.client_id}\x1fsubject\x1f{event.subject_id}"
        if event.conversation_id is not None:
            return f"{event.client_id}\x1fconversation\x1f{event.conversation_id}"
        return f"request\x1f{event.inference_id}"

    @property
    def masked(self) -> Mapping[str, int]:
        """How many different items of personal data were masked, by kind."""
        return {} if self._masking is None else self._masking.counts

    def next_id(self) -> str:
        """Return the id of a further attempt."""
        return self._new_id(self._clock.now())

    def reply(self, attempt: Attempt) -> Reply:
        """Return what a client reads: the label's name or the JSON object, not the surface."""
        assert attempt.result is not None
        answer = attempt.result.answer
        content = answer.text if answer.output is None else _content(answer.output)
        if self._masks_answers and self._masking is not None:
            content = self._masking.text(content)
        created = self._event.timestamp
        return Reply(attempt.inference_id, self._workload_id, content, answer, created)

    def record(self, attempt: Attempt, *, shadow_of: str | None = None) -> Record:
        """Return the record of an attempt.

        Args:
            attempt: an answer that breaks the schema is an error in its event.
            shadow_of: id of what the caller received, where that is another attempt.
        """
        filled: dict[str, Any] = {
            "inference_id": attempt.inference_id,
            "route": attempt.arm.route,
            "release": attempt.arm.release,
            "base_model": attempt.base_name or self._base_name,
            "latency_ms": attempt.seconds * 1000,
            "shadow_of": shadow_of,
        }
        if attempt.result is not None:
            filled |= self._answer_fields(attempt, attempt.result)
        elif attempt.failure is not None:
            failure = attempt.failure
            filled["error"] = f"{failure.status} {failure.code}: {failure.message}"
        if attempt.arm.route == "shadow":
            filled["timestamp"] = self._clock.now()
        event = self._masked(msgspec.structs.replace(self._event, **filled))
        return Record(INFERENCES_TOPIC, event.inference_id.encode(), encode(event))

    def _masked(self, event: InferenceEvent) -> InferenceEvent:
        return event if self._masking is None else mask_inference(event, self._masking)

    def _answer_fields(self, attempt: Attempt, result: Asked) -> JsonObject:
        reply = self.reply(attempt)
        answer = result.answer
        return {
            "release": result.release,
            "response": json_text("response", completion(self._chat.request, reply)),
            "output": json_text("output", answer.output),
            "confidence": answer.confidence,
            "margin": answer.margin,
            "usage": Usage(**reply.usage),
            "error": answer.error,
        }


def _bare_event(
    key: ApiKey, workload: Workload, chat: ChatBody, identity: CallFields, hash_key: str
) -> InferenceEvent:
    fields: CallFields = {
        **identity,
        "client_id": key.client_id,
        "workload_revision": workload.revision,
        **_metadata_fields(chat.body),
    }
    subject = find_subject({"request": chat.body}, None)
    if subject is not None:
        fields["subject"] = subject
    return call_event(
        workload.id, request=chat.body, response=None, output=None, fields=fields, hash_key=hash_key
    )


def _content(output: Any) -> str:
    return output if isinstance(output, str) else canonical_json(output)


def _metadata_fields(body: Mapping[str, Any]) -> CallFields:
    metadata = body.get("metadata")
    fields = CallFields()
    if isinstance(metadata, Mapping):
        if isinstance(trace := metadata.get("trace_id"), str):
            fields["trace_id"] = trace
        if isinstance(conversation := metadata.get("conversation_id"), str):
            fields["conversation_id"] = conversation
    return fields
