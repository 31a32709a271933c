"""From a real broker to the lake: the whole path, its stages alone, and what one would write by hand.

All in one process, in turns, over the same events in the same topic. By hand: kafka-python's poll
loop, rows to pandas, `write_deltalake`, then the offsets' commit. A crash between its last two
steps doubles rows, a broken event stops it, and nobody can prove what it lost.
"""

import json
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from bench.broker import append_events, open_log, running_broker
from bench.events import START, make_workload
from bench.lake import in_turns
from bench.ratio import Ratio
from flywheel.clock import SystemClock
from flywheel.eventlog.kafka_log import KafkaEventLog
from flywheel.events import INFERENCES_TOPIC, EventContract
from flywheel.events.columns import AnswerTexts
from flywheel.ingest import IngestConsumer
from flywheel.ingest.arrow import Batch, arrange
from flywheel.ingest.consume import BATCH_RECORDS
from flywheel.lake.store import Lake
from flywheel.ports.event_log import LogConsumer, LogRecord
from flywheel.ports.topics import ensure_topic
from flywheel.workload.model import Workload

__all__ = ["WholePath", "measure"]

_EVENTS = 100_000
_ROUNDS = 3
_POLL = 2_000


class WholePath:
    """The actions that are compared, over one filled topic."""

    def __init__(self, servers: str, folder: Path, events: int) -> None:
        self.events = events
        self._servers = servers
        self._folder = folder
        self._workload: Workload = make_workload()
        self._log: KafkaEventLog = open_log(servers)
        ensure_topic(self._log, INFERENCES_TOPIC)
        append_events(self._log, self._workload, events)
        self._consumer: LogConsumer = self._log.consumer(INFERENCES_TOPIC, group="reading")
        self._records: list[list[LogRecord]] = []
        self._batches: list[Batch] = []

    def measure(self, rounds: int) -> dict[str, tuple[float, float]]:
        """Return the median seconds and processor seconds of each action."""
        return in_turns(
            {
                "read": self.read,
                "decode": self.decode,
                "land": self.land,
                "whole": self.whole,
                "by hand": self.by_hand,
            },
            rounds,
        )

    def close(self) -> None:
        """Leave the broker."""
        self._log.close()

    def read(self, _: int) -> None:
        """Read every record, and keep them for the next stage."""
        for partition in self._consumer.assignment():
            self._consumer.seek(partition, 0)
        self._records, batch, count = [], [], 0
        while count < self.events:
            batch += self._consumer.poll(maximum=_POLL, timeout_seconds=5.0)
            if len(batch) >= BATCH_RECORDS or count + len(batch) == self.events:
                self._records.append(batch)
                count += len(batch)
                batch = []

    def decode(self, _: int) -> None:
        """Turn what was read into rows, and keep them for the next stage."""
        contract, answers = EventContract([self._workload]), AnswerTexts()
        self._batches = [
            arrange(records, contract, answers, now=START) for records in self._records
        ]

    def land(self, _: int) -> None:
        """Commit the rows to a new lake, position and all."""
        lake = Lake(self._new_folder())
        at: dict[tuple[str, int], int] = {}
        for records, batch in zip(self._records, self._batches, strict=True):
            ends = {(r.partition.topic_id, r.partition.number): r.offset + 1 for r in records}
            offset_ranges = {source: (at.get(source, 0), end) for source, end in ends.items()}
            lake.land("inferences", batch.rows, offset_ranges=offset_ranges)
            at |= ends

    def whole(self, _: int) -> None:
        """Ingest the topic into a new lake."""
        ingest = self.ingest()
        while ingest.run_once(self.events, timeout_seconds=1.0).lag:
            pass
        ingest.close()

    def ingest(self) -> IngestConsumer:
        """Join a new group that lands in a new lake."""
        group = f"whole-{uuid.uuid4().hex[:8]}"
        lake = Lake(self._new_folder())
        return IngestConsumer(self._log, lake, [self._workload], SystemClock(), group=group)

    def by_hand(self, _: int) -> None:
        """Do what a data engineer would write."""
        import pandas as pd
        from kafka import KafkaConsumer

        path = str(self._new_folder())
        consumer = KafkaConsumer(
            INFERENCES_TOPIC,
            bootstrap_servers=self._servers,
            group_id=f"hand-{uuid.uuid4().hex[:8]}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        rows: list[dict[str, Any]] = []
        count = 0
        while count < self.events:
            for messages in consumer.poll(timeout_ms=1000, max_records=_POLL).values():
                rows += [json.loads(message.value) for message in messages]
            if len(rows) >= BATCH_RECORDS or count + len(rows) == self.events:
                frame = pd.DataFrame(rows)
                for column in ("request", "response", "output", "usage"):
                    frame[column] = frame[column].map(json.dumps)
                frame["timestamp"] = pd.to_datetime(frame["timestamp"], format="ISO8601")
                frame["day"] = frame["timestamp"].dt.strftime("%Y-%m-%d")
                frame = frame.dropna(axis="columns", how="all")
                write_deltalake(path, frame, mode="append", partition_by=["workload_id", "day"])
                consumer.commit()
                count += len(rows)
                rows = []
        consumer.close()

    def _new_folder(self) -> Path:
        return self._folder / uuid.uuid4().hex


def measure() -> list[Ratio]:
    """Start a broker, fill a topic, and compare."""
    with running_broker() as (_, servers), tempfile.TemporaryDirectory() as folder:
        path = WholePath(servers, Path(folder), _EVENTS)
        taken = path.measure(_ROUNDS)
        path.close()
    return ratios(taken, _EVENTS)


def ratios(taken: dict[str, tuple[float, float]], events: int) -> list[Ratio]:
    """Compare the whole path with its stages and with what one writes by hand."""
    found = []
    for what, unit, index in (("time", "s", 0), ("processor time", "CPU-s", 1)):
        seconds = {name: values[index] for name, values in taken.items()}
        speed: Callable[[float], float] = lambda spent: events / spent  # noqa: E731
        alone = seconds["read"] + seconds["decode"] + seconds["land"]
        found += [
            Ratio(
                f"{name}, {what}",
                measured=speed(seconds["whole"]),
                anchor=speed(anchor),
                unit=f"events/{unit}",
                aim=f"at least {aim}",
                good=speed(seconds["whole"]) >= aim * speed(anchor),
            )
            for name, anchor, aim in (
                ("log to lake exactly once / the sum of its stages alone", alone, 0.8),
                ("log to lake exactly once / the same by hand", seconds["by hand"], 1.0),
            )
        ]
    return found
