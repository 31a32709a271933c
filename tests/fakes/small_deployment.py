"""A whole small deployment in one folder: events, judgments, a champion and an approved candidate.

Run as a program (``python -m tests.fakes.small_deployment TARGET.tar.xz``) it writes the archive
that the upgrade test opens: with the code of the version whose data is to be read later.
"""

import json
import sys
import tarfile
import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from flywheel.artifacts.base_folder import BaseModel, cached_folder
from flywheel.eventlog.sqlite_log import SqliteEventLog
from flywheel.events import INFERENCES_TOPIC, encode
from flywheel.ingest.consume import IngestConsumer
from flywheel.release.registry import MlflowRegistry
from flywheel.review.queues.local_queue import LocalReviewQueue
from tests.fakes.event_makers import make_event
from tests.fakes.release_world import ReleaseWorld
from tests.fakes.review_items import review_item
from tests.fakes.workload_file import put_workload

__all__ = ["EVENTS", "build_base", "build_deployment"]

EVENTS = 40


def build_deployment(home: Path) -> ReleaseWorld:
    """Fill an empty home: the champion is r1, r2 waits for its promotion."""
    registry = MlflowRegistry(
        f"sqlite:///{home / 'mlflow' / 'mlflow.db'}", home / "mlflow" / "artifacts"
    )
    world = ReleaseWorld(home, registry)
    put_workload(home / "workloads", world.workload)
    world.base = build_base(home, world)
    _land_events(home, world)
    _judge(home, world)
    world.promoted("r1")
    world.approved("r2")
    return world


def build_base(home: Path, world: ReleaseWorld) -> BaseModel:
    """Leave a base model beside the home, and the record that names it."""

    def make(folder: Path) -> dict[str, str]:
        (folder / "config.json").write_text('{"hidden_size": 8}')
        (folder / "model.safetensors").write_bytes(b"weights")
        return {"name": "tiny"}

    base = cached_folder(home.parent / "cache", "tiny-0123456789abcdef", make)
    record = home / "bases" / f"{world.workload.id}.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"folder": str(base.folder), "digest": base.digest}))
    return base


def _land_events(home: Path, world: ReleaseWorld) -> None:
    log = SqliteEventLog(home / "log.db", world.clock)
    ingest = IngestConsumer(log, world.lake, [world.workload], world.clock)
    events = [make_event(number, world.workload) for number in range(EVENTS)]
    records = [(event.inference_id.encode(), encode(event)) for event in events]
    for part in (records[: EVENTS // 2], [*records[EVENTS // 2 :], (None, b"no event")]):
        log.append(INFERENCES_TOPIC, part)
        ingest.run_once(1_000)
    ingest.close()
    log.close()


def _judge(home: Path, world: ReleaseWorld) -> None:
    items = [review_item(world.workload, number) for number in range(2)]
    LocalReviewQueue(home / "queue", world.clock).push(world.workload, items)
    for start in (0, 3):
        numbers = range(start, start + 3)
        events = [make_event(number, world.workload) for number in numbers]
        rows = {
            "workload_id": [world.workload.id] * 3,
            "correction_id": [f"c-{number}" for number in numbers],
            "version": [1] * 3,
            "status": ["accepted"] * 3,
            "inference_id": [event.inference_id for event in events],
            "input": [f"the pump leaks {number}" for number in numbers],
            "output": ['"dent"'] * 3,
            "label_id": ["dent"] * 3,
            "event_time": [event.timestamp for event in events],
            "accepted_at": [event.timestamp + timedelta(days=1) for event in events],
        }
        world.lake.append("corrections", pa.table(rows))


def _main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        build_deployment(home).close()
        with tarfile.open(target, "w:xz") as archive:
            for name in ("home", "cache"):
                archive.add(Path(folder) / name, arcname=name)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
