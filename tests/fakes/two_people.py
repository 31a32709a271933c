"""A small deployment in which two persons have left their texts everywhere; no model, no service."""

import copy
import json
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from flywheel.clock import ManualClock
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, chat_request, encode, raw_json
from flywheel.events.foreign import hash_subject
from flywheel.ingest.consume import Ingest
from flywheel.review.merging.collect import collect
from flywheel.review.sampling.batches import sample_batch
from flywheel.settings import Settings
from flywheel.usecases.cycle import assemble_dataset
from flywheel.wiring import Platform
from tests.fakes.event_makers import make_event, make_feedback
from tests.fakes.review_world import END, START, classification, text, truth

__all__ = ["ANNA", "BEN", "KEY", "TwoPeople"]

ANNA, BEN, KEY = "Anna.Müller@example.com", "ben-0042", "a key"
_EACH = 30


class TwoPeople:
    """Events, dead letters, judgments, a dataset, a release and stray copies of both persons."""

    def __init__(self, home: Path) -> None:
        """Fill a home, as ingest, review and a cycle do."""
        self.home = home
        self.clock = ManualClock(END)
        self.workload = classification(minimum_examples=10, review={"budget": 60})
        (home / "workloads").mkdir(parents=True)
        raw = self.workload.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        (home / "workloads" / "defects.yaml").write_text(yaml.safe_dump(raw))
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
        other = copy.copy(self)
        other.home, other.texts = home, {person: [*said] for person, said in self.texts.items()}
        other.platform = other._open()
        return other

    def _open(self) -> Platform:
        home = self.home
        settings = Settings(
            home=home, workloads=home / "workloads", cache=home / "cache", hash_key=KEY
        )
        return Platform(settings, self.clock)

    def land(self) -> None:
        """Land what the log holds."""
        ingest = Ingest(self.platform.log, self.platform.lake, [self.workload], self.clock)
        ingest.run_once(1_000)
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
        sample_batch(
            lake, queue, self.workload, window_start=START, window_end=END, now=END, budget=60
        )
        for task in queue.open_tasks(self.workload.id, "mia")[:50]:
            queue.submit(self.workload, task.item_id, "mia", truth(len(task.item_id)))
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
        self.snapshot = assemble_dataset(self.platform, self.workload.id, cycle.name)
        facts = {"release": "r1", "manifest_digest": "m", "dataset_hash": self.snapshot.hash}
        with state.transaction():
            state.releases.record(
                "r1",
                workload_id=self.workload.id,
                cycle=cycle.name,
                attempt=1,
                manifest_digest="m",
                adapter=str(self.home / "runs" / "r1"),
                dataset_hash=self.snapshot.hash,
            )
            state.attempts.add_facts(self.workload.id, cycle.name, 1, **facts)
            state.audit.append("training.done", f"defects/{cycle.name}", "system", facts)

    def _stray_copies(self) -> None:
        both = [self.texts[ANNA][0], self.texts[BEN][0]]
        for name in ("dagster/logs/run.err", "reports/defects/day.html"):
            (self.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.home / name).write_text("\n".join(both))
        (self.home / "notes.txt").write_text("nothing of anybody")

    def where(self, person: str) -> dict[str, int]:
        """Return how often the person's texts and ids are in each file, Parquet files read."""
        needles = [*self.texts[person], person]
        forms = {form.encode() for one in needles for form in (one, json.dumps(one)[1:-1])}
        found = {}
        for path in sorted(self.home.rglob("*")):
            if not path.is_file():
                continue
            content = path.read_bytes()
            if path.suffix == ".parquet":
                rows = pq.ParquetFile(path).read().to_pylist()
                content += "\n".join(str(value) for row in rows for value in row.values()).encode()
            count = sum(content.count(form) for form in forms)
            if count:
                found[path.relative_to(self.home).as_posix()] = count
        return found
