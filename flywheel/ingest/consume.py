"""The consumer: poll, decode, dead letters first, rows and position in one commit, courtesy commit.

The position always comes from the lake, never from the log's group. A crash between any two steps
is repaired by reading again from there: dead letters are written once per position, and rows move
together with the position or not at all.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import pyarrow as pa

from flywheel.clock import Clock
from flywheel.errors import ConcurrencyError, NotFoundError, TransientError
from flywheel.events import FEEDBACK_TOPIC, INFERENCES_TOPIC, EventContract
from flywheel.events.columns import AnswerTexts
from flywheel.events.schema import TOPIC_PARTITIONS
from flywheel.ingest.arrow import Batch, arrange, dead_letters, table_of
from flywheel.ingest.deadletters import write_dead_letters
from flywheel.ingest.report import IngestReport
from flywheel.lake.store import Lake
from flywheel.ports.event_log import EventLog, LogConsumer, LogRecord, Partition
from flywheel.workload import Workload

__all__ = ["STEPS", "Ingest"]

STEPS = ("read", "dead_letters_written", "rows_committed", "offsets_committed")
_BATCH_RECORDS = 20_000
_BATCH_BYTES = 128 * 2**20
_POLL_RECORDS = 2_000
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
            topic: _TopicReader(log, lake, topic, group)
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
                    reader.forget_positions()
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

    def _land(
        self, topic: str, reader: "_TopicReader", records: Sequence[LogRecord]
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
        moves, ends = reader.moves(records)
        self._lake.land(table_of(topic), batch.rows, moves=moves)
        self._on_step("rows_committed")
        reader.advance(ends)
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


class _TopicReader:
    # Reads one topic from the lake's positions on.

    def __init__(self, log: EventLog, lake: Lake, topic: str, group: str) -> None:
        self._log = log
        self._lake = lake
        self._topic = topic
        self._group = group
        self._at: dict[Partition, int] = {}
        self._consumer = self._join()

    def _join(self) -> LogConsumer:
        self._log.create_topic(self._topic, partitions=TOPIC_PARTITIONS)
        self._at.clear()
        return self._log.consumer(self._topic, group=self._group)

    def read(self, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        try:
            return self._gather(maximum, timeout_seconds)
        except NotFoundError:
            # The topic was deleted: one of that name with another id may have taken its place.
            self._consumer.close()
            self._consumer = self._join()
            return self._gather(maximum, timeout_seconds)

    def _gather(self, maximum: int, timeout_seconds: float) -> list[LogRecord]:
        records: list[LogRecord] = []
        size = 0
        while len(records) < maximum and size < _BATCH_BYTES:
            self._seek()
            step = min(_POLL_RECORDS, maximum - len(records))
            new = self._consumer.poll(
                maximum=step, timeout_seconds=0.0 if records else timeout_seconds
            )
            if not new:
                break
            records += new
            size += sum(len(record.value) for record in new)
        # A partition that came over during the poll was not read from the lake's position.
        return [record for record in records if record.partition in self._at]

    def _seek(self) -> None:
        assigned = self._consumer.assignment()
        for partition in set(self._at) - set(assigned):
            del self._at[partition]
        for partition in assigned:
            if partition not in self._at:
                table = table_of(self._topic)
                at = self._lake.position(table, partition.topic_id, partition.number) or 0
                self._at[partition] = at
                self._consumer.seek(partition, at)

    def moves(
        self, records: Sequence[LogRecord]
    ) -> tuple[dict[tuple[str, int], tuple[int, int]], dict[Partition, int]]:
        ends: dict[Partition, int] = {}
        for record in records:
            ends[record.partition] = record.offset + 1
        moves = {
            (partition.topic_id, partition.number): (self._at[partition], end)
            for partition, end in ends.items()
        }
        return moves, ends

    def advance(self, ends: dict[Partition, int]) -> None:
        self._at |= ends
        with suppress(TransientError, NotFoundError):  # the lake holds the truth
            self._consumer.commit(ends)

    def forget_positions(self) -> None:
        self._at.clear()

    def close(self) -> None:
        self._consumer.close()
