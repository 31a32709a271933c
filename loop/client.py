"""The application: an ordinary OpenAI client of the gateway that asks and never stops.

A request that failed is kept with its error; the client repeats none, so that what it counts is
what an application would see.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, groupby

import openai

from flywheel.errors import FlywheelError
from flywheel.events import INFERENCES_TOPIC
from flywheel.simulation.gateway_client import GatewayClient
from flywheel.simulation.traffic import SimulatedCall
from flywheel.usecases.simulated_world import answer_calls
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["AskingClient", "Reply", "produce"]

_PRODUCERS = 3
_BATCH = 16


@dataclass(frozen=True)
class Reply:
    """One reply that the client got; ``error`` says what went wrong."""

    release: str = ""
    route: str = ""
    inference_id: str = ""
    error: str | None = None


def produce(
    platform: Platform, workload: Workload, calls: Sequence[SimulatedCall]
) -> list[tuple[bytes, bytes]]:
    """Let the champion answer calls of the past, and several producers send their events.

    Returns:
        The messages, key and value, so that they can be sent again elsewhere.
    """
    messages = answer_calls(platform, workload, calls).messages
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
    return messages


@dataclass
class AskingClient:
    """Ask one question after the other in a thread of its own, and keep every reply.

    Args:
        url: of the gateway.
        key: of the client.
        workload_id: the model that is asked.
        calls: whose texts and reporters are sent, over and over.
        pause_seconds: between an answer and the next question.
    """

    url: str
    key: str
    workload_id: str
    calls: Sequence[SimulatedCall]
    pause_seconds: float = 1.0
    replies: list[Reply] = field(default_factory=list)
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
    def failures(self) -> list[Reply]:
        """Requests without an answer."""
        return [reply for reply in self.replies if reply.error is not None]

    def answered(self, release: str, route: str = "champion") -> int:
        """Count the answers that one release gave on a route."""
        return sum((reply.release, reply.route) == (release, route) for reply in self.replies)

    @property
    def champions(self) -> list[str]:
        """Champions in the order in which they answered."""
        answers = [reply.release for reply in self.replies if reply.route == "champion"]
        return [release for release, _ in groupby(answers)]

    def _run(self) -> None:
        with GatewayClient.open(self.url, self.key, self.workload_id) as client:
            for call in cycle(self.calls):
                if self._stop.wait(self.pause_seconds):
                    return
                self.replies.append(_ask(client, call))


def _ask(client: GatewayClient, call: SimulatedCall) -> Reply:
    try:
        answer = client.ask(call)
    except openai.OpenAIError as error:
        return Reply(error=str(error))
    return Reply(answer.release, answer.route, answer.inference_id)
