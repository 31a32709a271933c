"""The application: it asks the champion, writes an event for each answer, and never stops.

Who answers is read from the route table before every request, as a gateway would; a request that
failed is kept with its error, one that had to be sent twice is counted as such.
"""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby

from flywheel.errors import FlywheelError
from flywheel.events import INFERENCES_TOPIC, encode, event_id
from flywheel.ports.model_server import Answer
from flywheel.release.serving import load_champion
from flywheel.simulation.client import inference_event
from flywheel.simulation.traffic import SimulatedCall
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.answering import ChampionClient
from flywheel.usecases.cycle import codec_of
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["AskingClient", "Sent", "Told", "produce"]

_PRODUCERS = 3
_BATCH = 16
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Told:
    """One answer that the client got; ``error`` says what went wrong."""

    release: str
    attempts: int = 1
    error: str | None = None


@dataclass(frozen=True)
class Sent:
    """What the producers sent: the messages, so that they can be sent again elsewhere."""

    messages: list[tuple[bytes, bytes]]


def produce(platform: Platform, workload: Workload, calls: Sequence[SimulatedCall]) -> Sent:
    """Ask the champion each of the calls and let several producers send the events."""
    SimulatedTruth(platform.home, workload.id).remember(calls)
    server = platform.server(workload)
    release = load_champion(platform.state, server, workload.id)
    codec = codec_of(platform, workload)
    answers = server.answer(release, codec, [call.text for call in calls])
    base = platform.base(workload).name
    messages = [
        _message(workload, call, answer, release, base)
        for call, answer in zip(calls, answers, strict=True)
    ]
    failed: list[BaseException] = []

    def send(share: Sequence[tuple[bytes, bytes]]) -> None:
        try:
            for start in range(0, len(share), _BATCH):
                platform.log.append(INFERENCES_TOPIC, share[start : start + _BATCH])
        except FlywheelError as error:
            failed.append(error)

    producers = [
        threading.Thread(target=send, args=(messages[number::_PRODUCERS],))
        for number in range(_PRODUCERS)
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    if failed:
        raise failed[0]
    return Sent(messages)


@dataclass
class AskingClient:
    """Ask one question after the other in a thread of its own, and capture every answer."""

    platform: Platform
    workload: Workload
    calls: Sequence[SimulatedCall]
    answers: list[Told] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._run, name="client")
        self._thread.start()

    def stop(self) -> None:
        """Stop after the answer that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def failures(self) -> list[Told]:
        """Requests without an answer."""
        return [told for told in self.answers if told.error is not None]

    def answered(self, release: str) -> int:
        """Count the answers of one release."""
        return sum(told.release == release and told.error is None for told in self.answers)

    @property
    def repeated(self) -> int:
        """How many requests had to be sent more than once."""
        return sum(told.attempts > 1 for told in self.answers)

    @property
    def releases(self) -> list[tuple[str, int]]:
        """Releases in the order in which they answered, with how many answers in a row."""
        return [
            (release, len(list(group)))
            for release, group in groupby(self.answers, key=lambda told: told.release)
        ]

    def _run(self) -> None:
        client, log = ChampionClient.of(self.platform, self.workload), self.platform.log
        base = self.platform.base(self.workload).name
        for call in self._endless():
            if self._stop.is_set():
                return
            try:
                served = client.ask([call.text])
                [answer], release = served.answers, served.release
                message = _message(self.workload, call, answer, release, base)
                log.append(INFERENCES_TOPIC, [message])
                told = Told(release, served.attempts, answer.error)
            except FlywheelError as error:
                release = self.platform.state.routes.champion(self.workload.id)
                told = Told(release, error=str(error))
            self.answers.append(told)
            self._stop.wait(_PAUSE_SECONDS)

    def _endless(self) -> Iterator[SimulatedCall]:
        rng = random.Random(time.time_ns())  # noqa: S311 - ids of new requests, not a secret
        while True:
            for call in self.calls:
                now = datetime.now(UTC)
                yield replace(call, inference_id=event_id(now, rng), timestamp=now)


def _message(
    workload: Workload, call: SimulatedCall, answer: Answer, release: str, base: str
) -> tuple[bytes, bytes]:
    event = inference_event(call, answer, workload=workload, release=release, base_model=base)
    return event.inference_id.encode(), encode(event)
