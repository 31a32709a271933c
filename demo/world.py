"""The world outside Flywheel, simulated: clients that ask, people who correct, one who approves.

It alone knows the truth. Flywheel sees events in the log and judgments in the queue.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from demo.calendar import DemoWindow
from demo.clients import GatewayClients, second_id
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, encode
from flywheel.io.atomic import write_json
from flywheel.ports.topics import ensure_topic
from flywheel.simulation.client import client_feedback
from flywheel.simulation.poison import poison, with_duplicates
from flywheel.simulation.traffic import SimulatedCall, generate
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.simulated_world import answer_calls, simulated_people
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["SimulatedWorld", "Traffic"]

_PARTITIONS = 4
_POISON_PER_WINDOW = 9
_DUPLICATE_SHARE = 0.01
_ERROR_RATE = 0.02


@dataclass(frozen=True)
class Traffic:
    """What one window brought."""

    events: int
    feedback: int


@dataclass
class SimulatedWorld:
    """Clients, annotators and an approver around one workload."""

    platform: Platform
    workload_id: str
    per_day: float
    seed: int

    @property
    def workload(self) -> Workload:
        """The workload as its file states it now."""
        return self.platform.workload(self.workload_id)

    def send_traffic(self, window: DemoWindow, start: datetime) -> Traffic:
        """Let the clients ask the champion from a moment in a window to its end, and produce once."""
        workload = self.workload
        calls = self.calls(start, window.end)
        answered = answer_calls(self.platform, workload, calls)
        encoded = [value for _, value in answered.messages]
        messages = with_duplicates(encoded, share=_DUPLICATE_SHARE, seed=self.seed + window.number)
        messages += poison(self.seed + window.number, _POISON_PER_WINDOW)
        self._produce_once(f"{window.number}", INFERENCES_TOPIC, [(_key(m), m) for m in messages])
        outputs = [answer.output for answer in answered.answers]
        feedback = self._give_feedback(f"{window.number}", calls, outputs)
        return Traffic(len(messages), feedback)

    def ask_gateway(
        self, clients: GatewayClients, start: datetime, end: datetime, *, is_shadowed: bool
    ) -> int:
        """Let the clients ask the gateway about a stage's reports; return how many were asked.

        Those that a killed demo has already asked about are not asked about again.
        """
        calls = self.calls(start, end)
        truth = SimulatedTruth(self.platform.home, self.workload_id)
        truth.remember([*calls, *self._asked_twice(calls)])
        landed = self._landed_since(start)
        left = [call for call in calls if call.inference_id not in landed]
        clients.ask(left, is_shadowed=is_shadowed)
        return len(left)

    def give_feedback(self, start: datetime, end: datetime) -> int:
        """Let the clients say what they think of the landed answers of a stage, and count that."""
        calls = self.calls(start, end)
        query = "select inference_id, output from answered_inferences where timestamp >= ?"
        outputs = {
            row["inference_id"]: json.loads(row["output"] or "null")
            for row in self.platform.lake.rows(query, [start])
        }
        every = [*calls, *self._asked_twice(calls)]
        answered = [call for call in every if call.inference_id in outputs]
        return self._give_feedback(
            f"{start:%Y-%m-%d}", answered, [outputs[call.inference_id] for call in answered]
        )

    def calls(self, start: datetime, end: datetime) -> list[SimulatedCall]:
        """Return the reports of [start, end), in order of time."""
        return generate(self.workload, start=start, end=end, per_day=self.per_day, seed=self.seed)

    def _asked_twice(self, calls: Sequence[SimulatedCall]) -> list[SimulatedCall]:
        # As the champion answers them after the canary has failed.
        return [replace(call, inference_id=second_id(self.seed, call)) for call in calls]

    def _landed_since(self, start: datetime) -> set[str]:
        query = "select inference_id from first_inferences where timestamp >= ?"
        return {row["inference_id"] for row in self.platform.lake.rows(query, [start])}

    def _give_feedback(
        self, name: str, calls: Sequence[SimulatedCall], outputs: Sequence[Any]
    ) -> int:
        feedback = client_feedback(calls, outputs, workload=self.workload, seed=self.seed)
        records = [(event.inference_id.encode(), encode(event)) for event in feedback]
        self._produce_once(name, FEEDBACK_TOPIC, records)
        return len(feedback)

    def annotate(self) -> int:
        """Let the annotators answer everything that is open, and count their judgments."""
        people = simulated_people(
            self.platform, self.workload_id, error_rate=_ERROR_RATE, seed=self.seed
        )
        return people.answer_open(self.workload)

    def _produce_once(
        self, name: str, topic: str, records: Sequence[tuple[bytes | None, bytes]]
    ) -> None:
        # An append is all or nothing, so that the log's length before it tells a restarted demo
        # whether what has this name was already produced.
        log = self.platform.log
        ensure_topic(log, topic, partitions=_PARTITIONS)
        length = sum(log.end_offsets(topic).values())
        note = self.platform.home / "demo" / f"{topic}-{name}.json"
        if not note.exists():
            write_json(note, {"length_before": length, "records": len(records)})
        if json.loads(note.read_text())["length_before"] == length:
            log.append(topic, records)


def _key(message: bytes) -> bytes | None:
    try:
        return str(json.loads(message)["inference_id"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
