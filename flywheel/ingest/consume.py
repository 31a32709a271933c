"""The consumer: poll, decode, dead letters first, rows and position in one commit, courtesy commit.

The position always comes from the lake, never from the log's group. A crash between any two steps
is repaired by reading again from there: dead letters are written once per position, and rows move
together with the position or not at all.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flywheel.clock import Clock
from flywheel.errors import ConcurrencyError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, EventContract
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import Batch, arrange, dead_letters, table_of
from flywheel.ingest.deadletters import write_dead_letters
from flywheel.ingest.reader import TopicReader
from flywheel.ingest.report import IngestReport
from flywheel.lake.store import Lake
from flywheel.ports.event_log import EventLog, LogRecord, Partition
from flywheel.workload.model import Workload

__all__ = ["BATCH_RECORDS", "STEPS", "IngestConsumer", "Landing"]

STEPS = ("read", "dead_letters_written", "rows_committed", "offsets_committed")
BATCH_RECORDS = 20_000
_LOST_RACES = 20


def _no_step(_name: str) -> None:
    return


@dataclass(frozen=True)
class Landing:
    """One micro-batch that has landed; ``ages`` are event time to queryable, in seconds."""

    topic: str
    report: IngestReport
    ages: np.ndarray


class IngestConsumer:
    """One ingest process over both topics."""

    def __init__(
        self,
        log: EventLog,
        lake: Lake,
        workloads: Iterable[Workload],
        clock: Clock,
        *,
        group: str = "flywheel-ingest",
        on_step: Callable[[str], None] = _no_step,
        not_loaded: Collection[str] = (),
    ) -> None:
        """Join the group on both topics, which are made where they are missing.

        Args:
            log: where events come from.
            lake: where they go.
            workloads: what events may be about.
            clock: tells when rows landed.
            group: consumer group.
            on_step: called after each of `STEPS`, so that a test can stop right there.
            not_loaded: ids of workloads whose file does not load, see `EventContract`.
        """
        self._log = log
        self._lake = lake
        self._contract = EventContract(workloads, not_loaded=not_loaded)
        self._clock = clock
        self._group = group
        self._on_step = on_step
        self._answers = AnswerTexts()
        self._readers = {
            topic: TopicReader(log, lake, topic, group)
            for topic in (INFERENCES_TOPIC, FEEDBACK_TOPIC)
        }

    def run_once(self, maximum: int = 100_000, *, timeout_seconds: float = 0.0) -> IngestReport:
        """Land up to ``maximum`` records of both topics and report.

        Args:
            maximum: bound on the records read.
            timeout_seconds: how long to wait for the first ones.

        Raises:
            LogGapError: the log no longer holds what is next; nothing is skipped.
            ConcurrencyError: other processes won every race.
        """
        report = IngestReport()
        for topic, reader in self._readers.items():
            lost = 0
            while report.read < maximum:
                size = min(BATCH_RECORDS, maximum - report.read)
                records = reader.read(size, timeout_seconds)
                if not records:
                    break
                try:
                    report.add(self._land(topic, reader, records).report)
                    lost = 0
                except ConcurrencyError:
                    report.lost_races += 1
                    lost += 1
                    if lost > _LOST_RACES:
                        raise
        report.lag = self.lag()
        return report

    def gather(self, wait_seconds: float, *, batch_records: int = BATCH_RECORDS) -> int:
        """Poll each topic once, let what came wait, and return how many records came.

        Args:
            wait_seconds: how long to wait, over all topics, when nothing comes.
            batch_records: most records of a topic that may wait.
        """
        came = 0
        for reader in self._readers.values():
            if not reader.full(batch_records):
                # A topic in which nothing happens must not hold up the other.
                wait = 0.0 if came else wait_seconds / len(self._readers)
                came += reader.fetch(batch_records, timeout_seconds=wait)
        return came

    def due(self, linger_seconds: float, *, batch_records: int = BATCH_RECORDS) -> list[str]:
        """Name the topics whose waiting records fill a batch or have waited long enough."""
        return [
            topic
            for topic, reader in self._readers.items()
            if reader.waiting
            and (reader.full(batch_records) or reader.waiting_seconds >= linger_seconds)
        ]

    def land(self, topic: str) -> Landing:
        """Land what waits of one topic.

        Raises:
            ConcurrencyError: another process was first; the next `gather` reads on from there.
        """
        reader = self._readers[topic]
        return self._land(topic, reader, reader.take())

    def waiting(self) -> tuple[int, int]:
        """Return how many records wait, and their bytes."""
        readers = self._readers.values()
        return sum(r.waiting for r in readers), sum(r.waiting_bytes for r in readers)

    def accept(self, workloads: Iterable[Workload], not_loaded: Collection[str] = ()) -> None:
        """Take what is read from now on by these workloads; one that broke keeps its limits."""
        self._contract = EventContract(workloads, not_loaded=not_loaded, before=self._contract)

    def lags(self) -> dict[Partition, int]:
        """Count the records beyond the lake's position in each partition that is read here."""
        unread = {}
        for topic, reader in self._readers.items():
            ends = self._log.end_offsets(topic)
            for partition, at in reader.positions.items():
                if partition in ends:
                    unread[partition] = ends[partition] - at
        return unread

    def lag(self) -> int:
        """Count the records that the log holds beyond the lake's positions, whichever process reads them."""
        unread = 0
        for topic in self._readers:
            for partition, end in self._log.end_offsets(topic).items():
                at = self._lake.position(table_of(topic), partition.topic_id, partition.number)
                unread += end - (at or 0)
        return unread

    def close(self) -> None:
        """Leave the group."""
        for reader in self._readers.values():
            reader.close()

    def _land(self, topic: str, reader: TopicReader, records: Sequence[LogRecord]) -> Landing:
        # Whatever goes wrong here, the next read starts again at the lake's position.
        with reader.forgetting_on_failure():
            return self._land_read(topic, reader, records)

    def _land_read(self, topic: str, reader: TopicReader, records: Sequence[LogRecord]) -> Landing:
        self._on_step("read")
        now = self._clock.now()
        started = time.perf_counter()
        batch = arrange(records, self._contract, self._answers, now=now)
        decoded = time.perf_counter()
        if batch.rejections:
            rejected = dead_letters(records, batch.rejections, now=now)
            write_dead_letters(self._lake, rejected, reader.offset_ranges())
        self._on_step("dead_letters_written")
        self._lake.land(
            table_of(topic),
            batch.rows,
            offset_ranges=reader.offset_ranges(),
            empty_offsets=reader.empty_offsets(),
        )
        self._on_step("rows_committed")
        reader.advance()
        self._on_step("offsets_committed")
        report = _report(topic, records, batch)
        report.decode_seconds = decoded - started
        report.commit_seconds = time.perf_counter() - decoded
        return Landing(topic, report, self._ages(batch.rows["timestamp"]))

    def _ages(self, moments: pa.ChunkedArray) -> np.ndarray:
        now = np.datetime64(self._clock.now().replace(tzinfo=None), "us")
        landed = moments.to_numpy().astype("datetime64[us]")
        return np.asarray((now - landed) / np.timedelta64(1, "s"))


def _report(topic: str, records: Sequence[LogRecord], batch: Batch) -> IngestReport:
    report = IngestReport(read=len(records), commits=1)
    counts = report.landed if topic == INFERENCES_TOPIC else report.feedback
    for count in batch.rows["workload_id"].value_counts():
        counts[count["values"].as_py()] = count["counts"].as_py()
    for rejection in batch.rejections:
        report.dead_letters[str(rejection.reason)] += 1
    return report
