"""A small deployment in which two persons have left their texts everywhere; no model, no service."""

import copy
import io
import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow.fs import FileSelector

from flywheel.artifacts.references import CandidateRef
from flywheel.clock import ManualClock
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, chat_request, encode, raw_json
from flywheel.events.foreign import hash_subject
from flywheel.ingest.consume import IngestConsumer
from flywheel.lake.object_path import ObjectPath
from flywheel.review.label_studio.annotators import add_annotator
from flywheel.review.label_studio.provisioning import provision
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from flywheel.settings import Settings
from flywheel.usecases.cycle import assemble_dataset
from flywheel.wiring import Platform
from tests.fakes.event_makers import make_event, make_feedback
from tests.fakes.review_world import END, START, classification, text, truth
from tests.fakes.waiting import wait_until
from tests.fakes.workload_file import put_workload

__all__ = ["ANNA", "BEN", "KEY", "TwoPeople"]

ANNA, BEN, KEY = "Anna.Müller@example.com", "ben-0042", "a key"
_EACH = 30


class TwoPeople:
    """Events, dead letters, judgments, a dataset, a release and stray copies of both persons."""

    def __init__(self, home: Path, workload_id: str = "defects", **services: Any) -> None:
        """Fill a home, as ingest, review and a cycle do; on services, where settings name some."""
        self.home, self.services = home, services
        self.clock = ManualClock(END)
        self.workload = classification(id=workload_id, minimum_examples=10, review={"budget": 60})
        put_workload(home / "workloads", self.workload)
        self.platform = self._open()
        self.anna, self.ben = hash_subject(ANNA, KEY), hash_subject(BEN, KEY)
        self.texts: dict[str, list[str]] = {ANNA: [], BEN: []}
        self._land()
        self._judge()
        self._train()
        self._stray_copies()

    def copied_to(self, home: Path) -> "TwoPeople":
        """Return a copy of the closed deployment, opened."""
        shutil.copytree(self.home, home)
        return self.opened_at(home)

    def opened_at(self, home: Path) -> "TwoPeople":
        """Open another home with the same settings."""
        other = copy.copy(self)
        other.home, other.texts = home, {person: [*said] for person, said in self.texts.items()}
        other.platform = other._open()
        return other

    def _open(self) -> Platform:
        home = self.home
        settings = Settings(
            home=home,
            workloads=home / "workloads",
            cache=home / "cache",
            hash_key=KEY,
            **self.services,
        )
        return Platform(settings, self.clock)

    def land(self) -> None:
        """Land what the log holds."""
        ingest = IngestConsumer(self.platform.log, self.platform.lake, [self.workload], self.clock)
        try:
            wait_until(
                lambda: ingest.run_once(1_000, timeout_seconds=0.2).lag == 0, "the log to be landed"
            )
        finally:
            ingest.close()

    def event(self, number: int, person: str, **changes):
        """Return an inference event of a person."""
        subject = hash_subject(person, KEY)
        said = f"{text(number)} says {subject[:6]}"
        self.texts[person].append(said)
        return make_event(
            number,
            self.workload,
            **{
                "subject_id": subject,
                "timestamp": START + timedelta(minutes=number),
                "request": chat_request(self.workload, said, model="base"),
                "output": raw_json(truth(number + number % 2)),
            }
            | changes,
        )

    def _land(self) -> None:
        people = [ANNA, BEN] * _EACH
        self.events = [self.event(number, one) for number, one in enumerate(people)]
        for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC):
            self.platform.log.create_topic(topic, partitions=2)
        append = self.platform.log.append
        append(INFERENCES_TOPIC, [(e.inference_id.encode(), encode(e)) for e in self.events])
        for number in (0, 1):
            comment = f"comment of {people[number]}: that was quite wrong"
            self.texts[people[number]].append(comment)
            said = make_feedback(
                number,
                self.workload,
                inference_id=self.events[number].inference_id,
                kind="comment",
                value=raw_json(comment),
            )
            append(FEEDBACK_TOPIC, [(said.inference_id.encode(), encode(said))])
        for person in (ANNA, BEN):
            # Broken, and naming the person by the id itself, JSON inside JSON.
            broken = {"inference_id": f"dead-{person}", "request": json.dumps({"user": person})}
            append(INFERENCES_TOPIC, [(None, json.dumps(broken).encode())])
        self.land()

    def _judge(self) -> None:
        lake, queue = self.platform.lake, self.platform.queue
        judgments, annotator = 50, "mia@example.com"
        if self.platform.settings.review_queue == "label_studio":
            provision(self.platform.label_studio, self.workload)
            add_annotator(self.platform.label_studio, annotator)
            judgments = 24  # its pages are slower than a file
        sample_batch(
            lake, queue, self.workload, window_start=START, window_end=END, now=END, budget=60
        )
        desk = self.platform.desk
        for task in desk.open_items(self.workload, annotator)[:judgments]:
            desk.submit(self.workload, task.item_id, annotator, truth(len(task.item_id)))
        collect(lake, queue, self.workload, now=END)

    def _train(self) -> None:
        state = self.platform.state
        cycle = state.cycles.open(
            self.workload,
            trigger="manual",
            trigger_key="manual:1",
            opened_by="ann",
            reason="asked for",
            watermark=END,
            snapshot=self.workload.model_dump(mode="json", by_alias=True),
        )
        self.snapshot = assemble_dataset(self.platform, cycle.ref)
        candidate = CandidateRef("r1", "m", self.snapshot.hash, "run")
        with state.transaction():
            state.releases.record(
                "r1",
                cycle=cycle.ref,
                attempt=1,
                manifest_digest="m",
                adapter=str(self.home / "runs" / "r1"),
                dataset_hash=self.snapshot.hash,
            )
            state.attempts.record(cycle.ref, 1, candidate)
            state.audit.append("training.done", str(cycle.ref), "system", candidate.to_facts())

    def _stray_copies(self) -> None:
        both = [self.texts[ANNA][0], self.texts[BEN][0]]
        for name in ("dagster/logs/run.err", "reports/defects/day.html"):
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text("\n".join(both))
        (self.home / "notes.txt").write_text("nothing of anybody")

    def where(self, person: str) -> dict[str, int]:
        """Return how often the person's texts and ids are in each file, Parquet files read.

        A lake in an object store counts as ``lake/``, with every object below its root.
        """
        needles = [*self.texts[person], person]
        forms = {form.encode() for one in needles for form in (one, json.dumps(one)[1:-1])}
        counts = {
            name: sum(content.count(form) for form in forms) for name, content in self._contents()
        }
        return {name: count for name, count in counts.items() if count}

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self.home.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.home).as_posix()
                yield name, _readable(name, path.read_bytes())
        root = self.platform.lake.location.root
        if isinstance(root, ObjectPath):
            for found in root.filesystem.get_file_info(FileSelector(root.key, recursive=True)):
                if found.is_file:
                    name = "lake" + found.path.removeprefix(root.key)
                    with root.filesystem.open_input_file(found.path) as stream:
                        yield name, _readable(name, stream.read())


def _readable(name: str, content: bytes) -> bytes:
    # The bytes of a file, and of a Parquet file its values too.
    if name.endswith(".parquet"):
        rows = pq.ParquetFile(io.BytesIO(content)).read().to_pylist()
        content += "\n".join(str(value) for row in rows for value in row.values()).encode()
    return content
