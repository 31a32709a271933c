"""`FlywheelClient`: model calls and feedback of an application, sent to the event log.

`open_client` opens one from the settings. What the client accepts is what ingest accepts: an event
that would become a dead letter is refused where it is sent.
"""

import math
import threading
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self, Unpack

from flywheel.clock import Clock, SystemClock
from flywheel.errors import ConfigurationError, DataError, EventError
from flywheel.events import (
    FEEDBACK_TOPIC,
    INFERENCES_TOPIC,
    FeedbackEvent,
    InferenceEvent,
    Reason,
    encode,
)
from flywheel.events.call_event import CallFields, call_event, feedback_event
from flywheel.events.check import check_feedback, check_inference
from flywheel.events.masked import mask_event
from flywheel.events.schema import FeedbackKind
from flywheel.ports.event_log import EventLog
from flywheel.ports.topics import ensure_topic
from flywheel.settings import Settings, load_settings
from flywheel.wiring import open_event_log, require_deployment
from flywheel.workload.conversation import InputForm
from flywheel.workload.folder import read_workload_folder
from flywheel.workload.model import Limits
from flywheel.workload.privacy import PrivacyRules

__all__ = ["CallFields", "FlywheelClient", "open_client"]

_NUMBERS = ("confidence", "margin", "latency_ms")


class FlywheelClient:
    """Sends events to the event log; one client may be shared by threads of one process.

    With ``batch_size`` 1 an event is durable when ``send`` returns. A larger batch is faster, and
    its events are durable after the next `flush`, which happens by itself when the batch is full
    and when the client is closed.

    Args:
        log: the event log; the client closes it.
        client_id: name of the application or device in its events.
        limits: limits of each workload that events may name; None: the workload files are on
            another machine, whose ingest checks the name, and the default limits hold here.
        hash_key: key of the hash that stands for a person.
        batch_size: how many events are sent together.
        clock: default: the machine's.
        privacy: of each workload whose events are masked before they are sent.
        conversations: workloads whose input is a conversation.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        log: EventLog,
        *,
        client_id: str,
        hash_key: str,
        limits: Mapping[str, Limits] | None = None,
        batch_size: int = 1,
        clock: Clock | None = None,
        privacy: Mapping[str, PrivacyRules] = MappingProxyType({}),
        conversations: Collection[str] = (),
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(
                f"batch_size is {batch_size}.", next_step="give the number of events, at least 1"
            )
        self._log = log
        self._client_id = client_id
        self._limits = limits
        self._privacy = privacy
        self._conversations = frozenset(conversations)
        self._hash_key = hash_key
        self._batch_size = batch_size
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._waiting: dict[str, list[tuple[bytes, bytes]]] = {}
        self._closed = False

    def send(self, event: InferenceEvent | FeedbackEvent) -> str:
        """Check an event, send it and return its id.

        Raises:
            EventError: the event breaks the contract; nothing was sent.
            UnavailableError: the log is unreachable; the event stays in the batch, so that `flush`
                sends it again. An event that arrives twice counts once.
        """
        if self._closed:
            raise ConfigurationError("The client is closed.", next_step="open another one")
        try:
            _check_numbers(event)
            value = encode(mask_event(event, self._privacy.get(event.workload_id)))
            limits = self._limits_of(event.workload_id)
            if isinstance(event, InferenceEvent):
                is_thread = event.workload_id in self._conversations
                form: InputForm = "conversation" if is_thread else "last_user"
                check_inference(value, event.workload_id, limits, form)
            else:
                check_feedback(value, event.workload_id, limits)
        except EventError as error:
            raise self._refusal(event, error) from error
        topic = INFERENCES_TOPIC if isinstance(event, InferenceEvent) else FEEDBACK_TOPIC
        with self._lock:
            self._waiting.setdefault(topic, []).append((event.inference_id.encode(), value))
            full = sum(map(len, self._waiting.values())) >= self._batch_size
        if full:
            self.flush()
        return event.inference_id if isinstance(event, InferenceEvent) else event.feedback_id

    def send_call(
        self,
        workload_id: str,
        *,
        request: Any,
        response: Any,
        output: Any = None,
        **fields: Unpack[CallFields],
    ) -> str:
        """Send one call of a model and return its ``inference_id``.

        Args:
            workload_id: the workload that the call belongs to.
            request: OpenAI chat-completion request, as a mapping or an object of the SDK.
            response: the response to it; None after an error.
            output: the parsed answer; None where it could not be parsed.
            **fields: what else is known, see `CallFields`.
        """
        return self.send(
            call_event(
                workload_id,
                request=request,
                response=response,
                output=output,
                fields={"client_id": self._client_id, "timestamp": self._clock.now(), **fields},
                hash_key=self._hash_key,
            )
        )

    def send_feedback(
        self,
        workload_id: str,
        inference_id: str,
        *,
        kind: FeedbackKind,
        value: Any,
        author: str,
    ) -> str:
        """Send feedback on an answer and return its ``feedback_id``.

        Args:
            workload_id: the workload of the answer.
            inference_id: the id that `send_call` returned.
            kind: ``boolean``, ``float`` (0 bad to 1 good), ``comment`` or ``demonstration``.
            value: of that kind; of a demonstration the right answer.
            author: who said it.
        """
        moment = self._clock.now()
        return self.send(
            feedback_event(
                workload_id, inference_id, kind=kind, value=value, author=author, moment=moment
            )
        )

    def flush(self) -> int:
        """Send what waits and return how many events that were.

        Raises:
            UnavailableError: the log is unreachable; what was not sent still waits.
            DataError: an event is larger than the topic accepts; it was dropped, the others sent.
        """
        sent, refused = 0, []
        with self._lock:
            for topic in list(self._waiting):
                refused += _append(self._log, topic, self._waiting[topic])
                sent += len(self._waiting.pop(topic))
        if refused:
            raise DataError(
                f"{len(refused)} of {sent} events were not sent: {refused[0]}",
                next_step="shorten the request, or raise the size that the topic accepts",
            )
        return sent

    def close(self) -> None:
        """Send what waits and close the log; safe to call again.

        Raises:
            UnavailableError: the log is unreachable; the client stays open, so that it can be
                closed again later.
        """
        if not self._closed:
            self.flush()
            self._closed = True
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _limits_of(self, workload_id: str) -> Limits:
        if self._limits is None:
            return Limits()
        if workload_id not in self._limits:
            raise EventError(Reason.UNKNOWN_WORKLOAD, f"no workload {workload_id[:100]!r}")
        return self._limits[workload_id]

    def _refusal(self, event: InferenceEvent | FeedbackEvent, error: EventError) -> EventError:
        next_step = "correct the event and send it again"
        if error.reason == Reason.UNKNOWN_WORKLOAD and self._limits:
            next_step = f"use one of: {', '.join(sorted(self._limits))}"
        return EventError(
            error.reason,
            f"{type(event).__name__} {str(event.inference_id)[:200]!r} was not sent: "
            f"{error.message} ({error.reason}).",
            next_step=next_step,
        )


def open_client(
    *, client_id: str, batch_size: int = 1, settings: Settings | None = None
) -> FlywheelClient:
    """Open a client on the event log that the settings name.

    Args:
        client_id: name of the application or device in its events.
        batch_size: how many events are sent together, see `FlywheelClient`.
        settings: default: read from ``FLYWHEEL_*`` variables and ``flywheel.toml``.

    Raises:
        NotFoundError: the log is the embedded one, and there is no deployment in the home.
        UnavailableError: the log is unreachable.
    """
    chosen = settings or load_settings()
    if chosen.event_log == "sqlite":
        require_deployment(chosen)
    folder = read_workload_folder(chosen.workload_folder)
    limits = {key: workload.limits for key, workload in folder.workloads.items()}
    # The events of a file that does not load become dead letters that can be replayed.
    limits |= {key: Limits() for key in folder.problems}
    log = open_event_log(chosen, SystemClock())
    for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
        ensure_topic(log, topic)
    return FlywheelClient(
        log,
        client_id=client_id,
        hash_key=chosen.hash_key.get_secret_value(),
        limits=limits or None,
        batch_size=batch_size,
        privacy={key: w.privacy for key, w in folder.workloads.items() if w.privacy is not None},
        conversations=[k for k, w in folder.workloads.items() if w.input == "conversation"],
    )


def _append(log: EventLog, topic: str, records: Sequence[tuple[bytes, bytes]]) -> list[DataError]:
    # One event that the topic does not accept stops no other.
    try:
        log.append(topic, records)
    except DataError as error:
        if len(records) == 1:
            return [error]
        return [refused for record in records for refused in _append(log, topic, [record])]
    return []


def _check_numbers(event: InferenceEvent | FeedbackEvent) -> None:
    # JSON has neither: the encoder would write null.
    for name in _NUMBERS:
        value = getattr(event, name, None)
        if isinstance(value, float) and not math.isfinite(value):
            raise EventError(Reason.NOT_FINITE, f"{name} is {value}")
