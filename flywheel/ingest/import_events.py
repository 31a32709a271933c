"""`EventMaker`: one record of another log as an event of ours."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from flywheel.errors import EventError
from flywheel.events import InferenceEvent, Usage, call_id, encode, raw_json
from flywheel.events.foreign import (
    Answer,
    AnswerReader,
    ForeignCall,
    find_subject,
    hash_subject,
    hide_subject,
    read_call,
    read_moment,
)
from flywheel.events.foreign.json_text import dict_at, number_at
from flywheel.events.ids import asked_text
from flywheel.events.reasons import Reason, explain
from flywheel.ingest.import_lines import FileLine
from flywheel.io.records import JsonObject
from flywheel.workload.model import Workload

__all__ = ["EventMaker", "ImportOptions", "MadeEvent", "batch_requests"]

_RAW_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MOST_TOKENS = 2**31
_ID_CHARACTERS = 200


@dataclass(frozen=True)
class ImportOptions:
    """What a person says about a file.

    ``client_id`` stands where a record names none; ``zone`` is that of times without one; ``time``
    is taken where a record has none; ``subject_path`` is where a record names the person;
    ``source_workload`` is the id that the records themselves give to the workload.
    ``requests`` are those of a batch, by ``custom_id``.
    """

    client_id: str = "import"
    format_name: str | None = None
    zone: tzinfo = UTC
    time: datetime | None = None
    subject_path: str | None = None
    source_workload: str | None = None
    hash_key: str = ""
    requests: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeEvent:
    """An event, what its answer says, what had to be assumed about its time, and what was masked."""

    inference_id: str
    value: bytes
    asked: str
    answer: Answer
    format: str
    has_time: bool
    has_zone: bool
    masked: Mapping[str, int] = field(default_factory=dict)


class EventMaker:
    """Turn records into events of one workload."""

    def __init__(self, workload: Workload, options: ImportOptions, now: datetime) -> None:
        self._workload = workload
        self._options = options
        self._now = now
        self._answers = AnswerReader(workload)

    def make(self, line: FileLine) -> MadeEvent:
        """Make the event of a record.

        Raises:
            EventError: it is not a call, or lacks what a call must have.
        """
        if line.problem is not None:
            raise line.problem
        own = self._own_event(line)
        if own is not None:
            return own
        options = self._options
        call = read_call(line.value, format_name=options.format_name, requests=options.requests)
        moment, has_zone = self._moment(call)
        subject = None if options.subject_path else call.subject
        subject = subject or find_subject(line.value, options.subject_path)
        try:
            return self._made(line, call, moment, subject, has_zone=has_zone)
        except UnicodeEncodeError:
            raise EventError(
                Reason.BAD_UTF8, "a text holds half of a character (a lone surrogate)"
            ) from None

    def subject_id(self, record: Any) -> str | None:
        """Return the hashed person of a record that is not an event, where it names one."""
        try:
            subject = find_subject(record, self._options.subject_path)
        except EventError:
            return None
        return None if subject is None else hash_subject(subject, self._options.hash_key)

    def _own_event(self, line: FileLine) -> MadeEvent | None:
        # A complete event of ours goes in as it is.
        record = line.value
        if not (line.exact and isinstance(record, dict) and "inference_id" in record):
            return None
        try:
            event = msgspec.json.decode(line.content, type=InferenceEvent)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        if record.get("output") is not None:
            answer = Answer("parsed", record["output"])
        else:
            response = record.get("response")
            answer = self._answers.read(
                response if isinstance(response, dict) else None, event.error
            )
            answer = Answer("unparseable", detail="output is null") if answer.output else answer
        asked = asked_text(bytes(event.request))
        return MadeEvent(event.inference_id, line.content, asked, answer, "flywheel", True, True)

    def _moment(self, call: ForeignCall) -> tuple[datetime | None, bool]:
        for value in call.times:
            if value is not None and (not isinstance(value, str) or value.strip()):
                return read_moment(value, self._options.zone)
        return None, True

    def _made(
        self,
        line: FileLine,
        call: ForeignCall,
        moment: datetime | None,
        subject: str | None,
        *,
        has_zone: bool,
    ) -> MadeEvent:
        options, stated = self._options, call.event_fields
        request, response = self._exact(line, call)
        workload_id = call.workload_id or self._workload.id
        if workload_id == options.source_workload:
            workload_id = self._workload.id
        inference_id = stated.get("inference_id") or call_id(
            workload_id, bytes(request), bytes(response), moment
        )
        if not isinstance(inference_id, str) or len(inference_id) > _ID_CHARACTERS:
            raise EventError(
                Reason.MISSING_ID, "the inference_id is not text of 1 to 200 characters"
            )
        subject_id = stated.get("subject_id")
        if subject is not None and subject_id is None:
            subject_id = hash_subject(subject, options.hash_key)
            hidden = hide_subject(call.request, subject, subject_id)
            request = request if hidden is call.request else raw_json(hidden)
        answer = self._answers.read(call.response, call.error)
        event = self._fields(call, moment) | {
            "inference_id": inference_id,
            "workload_id": workload_id,
            "subject_id": subject_id,
        }
        try:
            checked = msgspec.convert(
                event
                | {"request": request, "response": response, "output": raw_json(answer.output)},
                InferenceEvent,
            )
        except msgspec.ValidationError as error:
            raise explain(error, line.content) from error
        asked = asked_text(bytes(request))
        return MadeEvent(
            inference_id, encode(checked), asked, answer, call.format, moment is not None, has_zone
        )

    def _fields(self, call: ForeignCall, moment: datetime | None) -> JsonObject:
        options, stated = self._options, call.event_fields
        return {
            "timestamp": moment or options.time or self._now,
            "client_id": call.client_id or options.client_id,
            "trace_id": call.trace_id,
            "conversation_id": call.conversation_id,
            "workload_revision": stated.get("workload_revision"),
            "route": stated.get("route"),
            "release": stated.get("release"),
            "base_model": stated.get("base_model") or call.model,
            "confidence": stated.get("confidence"),
            "margin": stated.get("margin"),
            "shadow_of": stated.get("shadow_of"),
            "latency_ms": call.latency_ms,
            "usage": _usage(call.response),
            "error": call.error,
        }

    def _exact(self, line: FileLine, call: ForeignCall) -> tuple[msgspec.Raw, msgspec.Raw]:
        # What is a chat already is stored exactly as it was written.
        record = line.value
        raw: dict[str, msgspec.Raw] = {}
        if line.exact and call.request is record.get("request"):
            try:
                raw = _RAW_KEYS.decode(line.content)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise explain(error, line.content) from error
        request = raw["request"] if raw else _raw(call.request)
        same = raw and call.response is not None and call.response is record.get("response")
        return request, raw["response"] if same else _raw(call.response)


def _raw(value: Any) -> msgspec.Raw:
    try:
        return raw_json(value)
    except RecursionError:
        raise EventError(Reason.TOO_DEEP, "nested too deep") from None


def _usage(response: JsonObject | None) -> Usage | None:
    usage = dict_at(response, "usage")
    if not usage:
        return None
    names = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    counts = [_tokens(usage, *pair) for pair in names]
    return Usage(*counts)


def _tokens(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        count = number_at(usage, name)
        if count is not None and 0 <= count <= _MOST_TOKENS and count == int(count):
            return int(count)
    return None


def batch_requests(lines: Iterable[FileLine]) -> JsonObject:
    """Return the requests of a batch's input file by ``custom_id``."""
    requests = {}
    for line in lines:
        custom_id = line.value.get("custom_id") if isinstance(line.value, dict) else None
        body = line.value.get("body") if isinstance(line.value, dict) else None
        if isinstance(custom_id, str) and isinstance(body, dict):
            requests[custom_id] = body
    return requests
