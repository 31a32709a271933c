"""The world outside Flywheel, simulated: clients that ask, people who correct, one who approves.

It alone knows the truth. Flywheel sees events in the log and judgments in the queue.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.calendar import DemoWindow
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, encode
from flywheel.ports.model_server import Answer
from flywheel.release.serving import load_champion
from flywheel.simulation.annotators import SimulatedAnnotators
from flywheel.simulation.client import client_feedback, inference_event
from flywheel.simulation.poison import poison, with_duplicates
from flywheel.simulation.traffic import generate
from flywheel.simulation.truth import SimulatedTruth
from flywheel.usecases.cycle import codec_of
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
    accuracy: float


@dataclass
class SimulatedWorld:
    """Clients, annotators and an approver around one workload."""

    platform: Platform
    workload_id: str
    per_day: float
    seed: int
    truth: SimulatedTruth = field(init=False)

    def __post_init__(self) -> None:
        self.truth = SimulatedTruth(self.platform.home, self.workload_id)

    @property
    def workload(self) -> Workload:
        """The workload as its file states it now."""
        return self.platform.workload(self.workload_id)

    def send_traffic(self, window: DemoWindow) -> Traffic:
        """Let the clients of a window ask the champion, and produce the events once."""
        workload = self.workload
        calls = generate(
            workload, start=window.start, end=window.end, per_day=self.per_day, seed=self.seed
        )
        self.truth.remember(calls)
        release = load_champion(self.platform.state, self.platform.server(workload), workload.id)
        answers = self._answer(workload, release, [call.text for call in calls])
        base = self.platform.base(workload).name
        encoded = [
            encode(
                inference_event(call, answer, workload=workload, release=release, base_model=base)
            )
            for call, answer in zip(calls, answers, strict=True)
        ]
        messages = with_duplicates(encoded, share=_DUPLICATE_SHARE, seed=self.seed + window.number)
        messages += poison(self.seed + window.number, _POISON_PER_WINDOW)
        feedback = client_feedback(calls, answers, workload=workload, seed=self.seed)
        self._produce_once(window, INFERENCES_TOPIC, [(_key(m), m) for m in messages])
        self._produce_once(
            window, FEEDBACK_TOPIC, [(e.inference_id.encode(), encode(e)) for e in feedback]
        )
        right = sum(a.output == c.truth for a, c in zip(answers, calls, strict=True))
        return Traffic(len(messages), len(feedback), right / len(calls))

    def annotate(self) -> int:
        """Let the annotators answer everything that is open, and count their judgments."""
        people = SimulatedAnnotators(
            self.platform.queue,
            self.truth,
            error_rate=_ERROR_RATE,
            seed=self.seed,
        )
        return people.answer_open(self.workload)

    def _answer(self, workload: Workload, release: str, inputs: list[str]) -> list[Answer]:
        codec = codec_of(self.platform, workload)
        return self.platform.server(workload).answer(release, codec, inputs)

    def _produce_once(
        self, window: DemoWindow, topic: str, records: list[tuple[bytes | None, bytes]]
    ) -> None:
        # An append is all or nothing, so that the log's length before it tells a restarted demo
        # whether this window was already produced.
        log = self.platform.log
        log.create_topic(topic, partitions=_PARTITIONS)
        length = sum(log.end_offsets(topic).values())
        note = self.platform.home / "demo" / f"{topic}-{window.number}.json"
        if not note.exists():
            _write(note, {"length_before": length, "records": len(records)})
        if json.loads(note.read_text())["length_before"] == length:
            log.append(topic, records)


def _key(message: bytes) -> bytes | None:
    try:
        return str(json.loads(message)["inference_id"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(value))
    temporary.replace(path)
