"""A whole deployment on the smallest real base: log, lake, queue, state, registry, Dagster."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from definitions import build_definitions
from demo.runner import InProcessDagster
from flywheel.clock import ManualClock
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, encode, event_id
from flywheel.ingest.seed import import_seed
from flywheel.settings import Settings
from flywheel.simulation.annotators import SimulatedAnnotators
from flywheel.simulation.client import inference_event
from flywheel.simulation.traffic import SimulatedCall
from flywheel.simulation.truth import SimulatedTruth
from flywheel.state import Cycle
from flywheel.usecases.cycle import codec_of
from flywheel.wiring import Platform
from tests.fakes.micro_base import classification, labeled, micro_base

__all__ = ["START", "TurnWorld"]

START = datetime(2026, 1, 1, tzinfo=UTC)
_SIZES = {
    "minimum_examples": 20,
    "golden_size": 60,
    "base_model": "tiny",
    "review": {"budget": 60},
    # So few cases show wide differences alone, and the base has nothing left to learn.
    "gates": {
        "margin": 0.1,
        "holdout_margin": 0.5,
        "significance": 0.1,
        "slice_minimum": 50,
        "latency_ratio": 20.0,
        "first_must_be_better": False,
    },
    # At ten times this rate the outcome hung on the order of the rows, and so on the date.
    "training": {"epochs": 12, "learning_rate": 0.001, "batch_size": 8, "checkpoint_steps": 20},
}


class TurnWorld:
    """One workload with everything around it; people and clients are simulated."""

    def __init__(
        self,
        home: Path,
        instance: dg.DagsterInstance,
        *,
        start: datetime = START,
        workload: dict[str, Any] | None = None,
        settings: Settings | None = None,
        **adapters: Any,
    ) -> None:
        """Set the world up.

        Args:
            home: folder of the deployment.
            instance: Dagster's.
            start: time at which the clock stands.
            workload: keys that are added to the workload's file.
            settings: default: everything embedded in the home.
            adapters: take the place of those that the settings choose.
        """
        raw = classification().model_dump(mode="json", by_alias=True) | _SIZES | (workload or {})
        folder = home / "workloads"
        folder.mkdir(parents=True)
        settings = settings or Settings(home=home, workloads=folder, cache=home)
        (folder / "parts.yaml").write_text(yaml.safe_dump(raw))
        self.clock = ManualClock(start)
        self.platform = Platform(settings, self.clock, **adapters)
        self.workload = self.platform.workload("parts")
        base = micro_base()
        record = home / "bases" / "parts.json"
        record.parent.mkdir()
        record.write_text(json.dumps({"folder": str(base.folder), "digest": base.digest}))
        self.dagster = InProcessDagster(build_definitions([self.workload]), instance, self.platform)
        self.truth = SimulatedTruth(home, "parts")

    def close(self) -> None:
        """Close the stores."""
        self.platform.close()

    def import_seed(self, rows: int = 150) -> None:
        """Import labeled reports, as a person would at the start."""
        import_seed(
            self.platform.lake,
            self.workload,
            labeled(rows),
            source_name="seed.csv",
            now=self.clock.now(),
        )

    def send(self, count: int, *, seed: int = 1) -> None:
        """Let clients ask the champion and produce the events."""
        rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
        calls = []
        for number, (text, label) in enumerate(labeled(count)):
            moment = self.clock.now() + timedelta(minutes=number)
            calls.append(
                SimulatedCall(
                    inference_id=event_id(moment, rng),
                    timestamp=moment,
                    client_id="simulated:press-shop",
                    subject_id=None,
                    line="",
                    text=f"{text} in shift {seed}",
                    truth=label,
                )
            )
        self.truth.remember(calls)
        release = self.platform.state.routes.champion("parts")
        answers = self.platform.server(self.workload).answer(
            release, codec_of(self.platform, self.workload), [call.text for call in calls]
        )
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            self.platform.log.create_topic(topic, partitions=2)
        events = [
            inference_event(
                call, answer, workload=self.workload, release=release, base_model="tiny"
            )
            for call, answer in zip(calls, answers, strict=True)
        ]
        self.platform.log.append(
            INFERENCES_TOPIC, [(e.inference_id.encode(), encode(e)) for e in events]
        )

    def open_cycle(self, trigger_key: str = "manual:1") -> Cycle:
        """Open a cycle as a person would with the command line."""
        return self.platform.state.cycles.open(
            self.workload,
            trigger="manual",
            trigger_key=trigger_key,
            opened_by="ann",
            reason="asked for",
            watermark=self.clock.now(),
            snapshot=self.workload.model_dump(mode="json", by_alias=True),
        )

    def annotate(self, *, limit: int | None = None) -> int:
        """Let people answer what is open, or a part of it."""
        people = SimulatedAnnotators(self.platform.desk, self.truth, error_rate=0.0, seed=1)
        return people.answer_open(self.workload, limit=limit)

    def move(self, **delta: int) -> None:
        """Move the clock forward."""
        self.clock.move_to(self.clock.now() + timedelta(**delta))
