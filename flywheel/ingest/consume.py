"""The consumer: poll, decode, dead letters first, rows and position in one commit, courtesy commit.

The position always comes from the lake, never from the log's group. A crash between any two steps
is repaired by reading again from there: dead letters are written once per position, and rows move
together with the position or not at all.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from flywheel.clock import Clock
from flywheel.errors import ConcurrencyError, TransientError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, EventContract
from flywheel.events.columns import AnswerTexts
from flywheel.ingest.arrow import Batch, arrange, dead_letters, table_of
from flywheel.ingest.deadletters import write_dead_letters
from flywheel.ingest.reader import TopicReader
from flywheel.ingest.report import IngestReport
from flywheel.lake.store import Lake
from flywheel.ports.event_log import EventLog, LogRecord
from flywheel.workload import Workload

__all__ = ["STEPS", "Ingest"]

STEPS = ("read", "dead_letters_written", "rows_committed", "offsets_committed")
_BATCH_RECORDS = 20_000
_LOST_RACES = 20


def _no_step(_name: str) -> None:
    return


class Ingest:
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
    ) -> None:
        """Join the group on both topics, which are made where they are missing.

        Args:
            log: where events come from.
            lake: where they go.
            workloads: what events may be about.
            clock: tells when rows landed.
            group: consumer group.
            on_step: called after each of `STEPS`, so that a test can stop right there.
        """
        self._log = log
        self._lake = lake
        self._contract = EventContract(workloads)
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
                size = min(_BATCH_RECORDS, maximum - report.read)
                records = reader.read(size, timeout_seconds)
                if not records:
                    break
                try:
                    report.add(self._land(topic, reader, records))
                    lost = 0
                except ConcurrencyError:
                    report.lost_races += 1
                    lost += 1
                    if lost > _LOST_RACES:
                        raise
        report.lag = self.lag()
        return report

    def follow(
        self,
        *,
        stop: Callable[[], bool],
        on_report: Callable[[IngestReport], None],
        linger_seconds: float = 1.0,
    ) -> None:
        """Land what arrives until ``stop`` says so; a transient failure is tried again.

        Back-pressure is natural: nothing is read while a commit is under way, and one batch is
        bounded by records and bytes.
        """
        failures = 0
        while not stop():
            try:
                report = self.run_once(_BATCH_RECORDS, timeout_seconds=linger_seconds)
                failures = 0
            except TransientError:
                failures += 1
                if failures > _LOST_RACES:
                    raise
                time.sleep(min(0.1 * 2**failures, 5.0))
                continue
            if report.read:
                on_report(report)

    def lag(self) -> int:
        """Count the records that the log holds beyond the lake's positions."""
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

    def _land(self, topic: str, reader: TopicReader, records: Sequence[LogRecord]) -> IngestReport:
        # Whatever goes wrong here, the next read starts again at the lake's position.
        with reader.forgetting_on_failure():
            return self._land_read(topic, reader, records)

    def _land_read(
        self, topic: str, reader: TopicReader, records: Sequence[LogRecord]
    ) -> IngestReport:
        self._on_step("read")
        now = self._clock.now()
        started = time.perf_counter()
        batch = arrange(records, self._contract, self._answers, now=now)
        decoded = time.perf_counter()
        if batch.rejections:
            rejected = dead_letters(records, batch.rejections, now=now)
            write_dead_letters(self._lake, rejected)
        self._on_step("dead_letters_written")
        self._lake.land(table_of(topic), batch.rows, moves=reader.moves())
        self._on_step("rows_committed")
        reader.advance()
        self._on_step("offsets_committed")
        report = _report(topic, records, batch)
        report.decode_seconds = decoded - started
        report.commit_seconds = time.perf_counter() - decoded
        return report


def _report(topic: str, records: Sequence[LogRecord], batch: Batch) -> IngestReport:
    report = IngestReport(read=len(records), commits=1)
    counts = report.landed if topic == INFERENCES_TOPIC else report.feedback
    for count in pa.chunked_array([batch.rows["workload_id"].combine_chunks()]).value_counts():
        counts[count["values"].as_py()] = count["counts"].as_py()
    for rejection in batch.rejections:
        report.dead_letters[str(rejection.reason)] += 1
    return report
