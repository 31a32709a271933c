"""Decode and check a batch of log values: what breaks the contract is set aside with a reason.

A chunk without a fault passes at msgspec's own speed; only a chunk with one is looked at value by
value. What lies inside the texts that stay raw is checked when the columns are made.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

import msgspec

from flywheel.errors import EventError
from flywheel.events.ids import call_id
from flywheel.events.reasons import Reason, explain, too_deep
from flywheel.events.schema import (
    MAXIMUM_COMMENT,
    FeedbackEvent,
    InferenceEvent,
    NvidiaRecord,
)
from flywheel.events.set_aside import decode_set_aside, rejection_of
from flywheel.workload.model import Limits, Workload

__all__ = ["Decoded", "EventContract", "Rejection", "decode_feedback", "decode_inferences"]

_CHUNK = 64
_V1_KEYS = frozenset(InferenceEvent.__struct_fields__) - set(NvidiaRecord.__struct_fields__)
_DECODE_INFERENCE = msgspec.json.Decoder(InferenceEvent).decode
_DECODE_FEEDBACK = msgspec.json.Decoder(FeedbackEvent).decode
_DECODE_NVIDIA = msgspec.json.Decoder(NvidiaRecord).decode
_DECODE_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WORKLOAD_ID = attrgetter("workload_id")

Event = TypeVar("Event")


@dataclass(frozen=True, slots=True)
class Rejection:
    """One value of a batch that breaks the contract."""

    index: int
    reason: Reason
    error: str


@dataclass(slots=True)
class Decoded(Generic[Event]):
    """The good events of a batch, each with its index in it, and the rejected ones."""

    events: list[Event] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def reject(self, index: int, error: EventError) -> None:
        """Set a value aside."""
        self.rejections.append(Rejection(index, Reason(error.reason), error.message))


class EventContract:
    """What this platform accepts: its workloads and their limits.

    Args:
        workloads: those that events may name.
        not_loaded: ids of workloads whose file does not load. Their events are judged by the limits
            of ``before``; without any they are dead letters that can be replayed.
        before: the contract that was in force.
    """

    def __init__(
        self,
        workloads: Iterable[Workload],
        *,
        not_loaded: Collection[str] = (),
        before: "EventContract | None" = None,
    ) -> None:
        loaded = list(workloads)
        limits = {workload.id: workload.limits for workload in loaded}
        threads = {workload.id for workload in loaded if workload.input == "conversation"}
        self.not_loaded = frozenset(not_loaded)
        if before is not None:
            earlier_limits = {
                key: before.limits[key] for key in self.not_loaded if key in before.limits
            }
            limits = earlier_limits | limits
            threads |= before.conversations & earlier_limits.keys()
        self.conversations: frozenset[str] = frozenset(threads)
        self._judge_by(limits)

    @classmethod
    def of_limits(
        cls, limits: Mapping[str, Limits], conversations: Collection[str] = ()
    ) -> "EventContract":
        """Return the contract of workloads of which the limits alone are at hand.

        ``conversations`` are the ids of those whose input is a conversation.
        """
        contract = cls(())
        contract.conversations = frozenset(conversations)
        contract._judge_by(limits)
        return contract

    def _judge_by(self, limits: Mapping[str, Limits]) -> None:
        self.limits = dict(limits)
        sizes = [limits.event_bytes for limits in self.limits.values()]
        self.smallest_bytes = min(sizes, default=0)
        # Without any workload an event is said to be of an unknown one, not too large.
        self.largest_bytes = max(sizes, default=Limits().event_bytes)

    @property
    def workload_ids(self) -> frozenset[str]:
        """Ids of the workloads that events may name."""
        return frozenset(self.limits)


def decode_inferences(values: Sequence[bytes], contract: EventContract) -> Decoded[InferenceEvent]:
    """Decode values of the inferences topic; a record without an id gets that of its call.

    Args:
        values: bytes as the log holds them.
        contract: what is accepted.
    """

    def decode(_index: int, value: bytes) -> InferenceEvent:
        try:
            return _DECODE_INFERENCE(value)
        except msgspec.ValidationError as error:
            return _without_id(value, error)

    return _decode(values, contract, _DECODE_INFERENCE, decode)


def decode_feedback(values: Sequence[bytes], contract: EventContract) -> Decoded[FeedbackEvent]:
    """Decode values of the feedback topic."""

    def decode(_index: int, value: bytes) -> FeedbackEvent:
        event = _DECODE_FEEDBACK(value)
        _check_feedback(event)
        return event

    def decode_fast(value: bytes) -> FeedbackEvent:
        return decode(0, value)

    return _decode(values, contract, decode_fast, decode)


def _decode(
    values: Sequence[bytes],
    contract: EventContract,
    fast: Callable[[bytes], Event],
    careful: Callable[[int, bytes], Event],
) -> Decoded[Event]:
    decoded: Decoded[Event] = Decoded()
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        events = _decode_chunk(chunk, contract, fast)
        if events is not None:
            decoded.events += events
            decoded.indices += range(start, start + len(chunk))
            continue
        for index, value in enumerate(chunk, start):
            try:
                event = _decode_one(index, value, contract, careful)
            except EventError as error:
                decoded.reject(index, error)
            else:
                decoded.events.append(event)
                decoded.indices.append(index)
    return decoded


def _decode_chunk(
    chunk: Sequence[bytes], contract: EventContract, fast: Callable[[bytes], Event]
) -> list[Event] | None:
    # None: at least one value needs the careful way.
    if max(map(len, chunk)) > contract.smallest_bytes:
        return None
    try:
        events = list(map(fast, chunk))
    except (*_DECODE_ERRORS, EventError):
        return None
    return events if contract.limits.keys() >= set(map(_WORKLOAD_ID, events)) else None


def _decode_one(
    index: int,
    value: bytes,
    contract: EventContract,
    careful: Callable[[int, bytes], Event],
) -> Event:
    if len(value) > contract.largest_bytes:
        raise EventError(Reason.TOO_LARGE, f"{len(value)} bytes, {contract.largest_bytes} allowed")
    if too_deep(value):
        raise EventError(Reason.TOO_DEEP, "nested too deep")
    try:
        value.decode()
        event = careful(index, value)
    except _DECODE_ERRORS as error:
        raise explain(error, value) from error
    workload_id = _WORKLOAD_ID(event)
    limits = contract.limits.get(workload_id)
    if limits is None and workload_id in contract.not_loaded:
        raise EventError(
            Reason.WORKLOAD_NOT_LOADED,
            f"the file of workload {workload_id} does not load: correct it, then replay",
        )
    if limits is None:
        raise EventError(Reason.UNKNOWN_WORKLOAD, f"no workload {workload_id[:100]!r}")
    if len(value) > limits.event_bytes:
        raise EventError(Reason.TOO_LARGE, f"{len(value)} bytes, {limits.event_bytes} allowed")
    return event


def _without_id(value: bytes, error: msgspec.ValidationError) -> InferenceEvent:
    set_aside = decode_set_aside(value)
    if set_aside is not None:
        raise rejection_of(set_aside)
    # NVIDIA's record is recognized by what it lacks: the keys that only our event has.
    keys = _DECODE_KEYS(value).keys() if value.lstrip()[:1] == b"{" else set()
    if "request" not in keys or keys & _V1_KEYS:
        raise error
    record = _DECODE_NVIDIA(value)
    when = record.timestamp
    if not isinstance(when, datetime):
        try:
            when = datetime.fromtimestamp(when, UTC)
        except (OverflowError, ValueError, OSError) as problem:
            raise EventError(Reason.BAD_TIMESTAMP, f"no such moment: {when}") from problem
    return InferenceEvent(
        inference_id=call_id(
            record.workload_id, bytes(record.request), bytes(record.response), when
        ),
        schema_version=cast("Any", None),  # it speaks no version of ours,
        timestamp=when,
        workload_id=record.workload_id,
        client_id=record.client_id,
        route=None,
        release=None,
        base_model=None,
        request=record.request,
        response=record.response,
        output=msgspec.Raw(b"null"),
        latency_ms=None,
        usage=None,
    )


_FEEDBACK_TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "float": (int, float),
    "comment": str,
    # The workload's schema is not asked: a client may name a label that is yet to come.
    "demonstration": (str, dict),
}


def _check_feedback(event: FeedbackEvent) -> None:
    value = msgspec.json.decode(event.value)
    fits = isinstance(value, _FEEDBACK_TYPES[event.kind])
    if not fits or (event.kind == "float" and isinstance(value, bool)):
        raise EventError(Reason.WRONG_TYPE, f"value of kind {event.kind} is a {_json_type(value)}")
    if event.kind == "comment" and len(value) > MAXIMUM_COMMENT:
        raise EventError(
            Reason.OUT_OF_RANGE,
            f"the comment has {len(value)} characters, {MAXIMUM_COMMENT} allowed",
        )


def _json_type(value: Any) -> str:
    return "null" if value is None else type(value).__name__
