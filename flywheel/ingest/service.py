"""`flywheel ingest --follow`: land what arrives, for as long as the process is wanted.

Records gather until they fill a batch or have lingered, since each commit costs the lake's readers.
While a commit is under way nothing is read: that is the back-pressure, and memory holds one batch
per topic at most. A transient failure is tried again for ever, and told; a terminal one ends the
process, since no later try could be better.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from flywheel.errors import ConcurrencyError, ConfigurationError, TransientError
from flywheel.ingest.arrow import warm_up
from flywheel.ingest.consume import BATCH_RECORDS, IngestConsumer
from flywheel.ingest.health import Health
from flywheel.ingest.log_lines import Say
from flywheel.ingest.metrics import IngestMetrics
from flywheel.ingest.report import IngestReport
from flywheel.workload.folder import WorkloadProblem
from flywheel.workload.model import Workload

__all__ = ["IngestService"]

_WAIT_SECONDS = 0.25
_LOOK_SECONDS = 5.0
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 15.0
_JOIN_AGAIN = 5


class IngestService:
    """One member of the group, from its start to the signal that ends it."""

    def __init__(  # noqa: PLR0913 - each is a part that tests and the command line choose
        self,
        open_ingest: Callable[[], IngestConsumer],
        *,
        workloads: Callable[[], Iterable[Workload]],
        stop: threading.Event,
        say: Say,
        metrics: IngestMetrics,
        health: Health,
        linger_seconds: float,
        batch_records: int = BATCH_RECORDS,
        problems: Callable[[], Mapping[str, WorkloadProblem]] = dict,
    ) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            open_ingest: joins the group; called again when failures do not end.
            workloads: what events may be about, asked again every few seconds.
            stop: set by a signal.
            say: writes a log line.
            metrics: takes the figures.
            health: takes what succeeds and fails.
            linger_seconds: how long the first record of a batch may wait for others.
            batch_records: how many records a commit takes at most.
            problems: the workload files that do not load, by id; asked with the workloads.
        """
        self._open_ingest = open_ingest
        self._workloads = workloads
        self._stop = stop
        self._say = say
        self._metrics = metrics
        self._health = health
        self._linger_seconds = linger_seconds
        self._batch_records = batch_records
        self._problems = problems
        self._reported: frozenset[str] = frozenset()
        self._ingest: IngestConsumer | None = None
        self._total = IngestReport()
        self._look_at = 0.0

    def run(self) -> IngestReport:
        """Go on until `stop`, land what was read, leave the group, and return the whole's counts.

        Raises:
            LogGapError: the log lost records that were not read; a person must declare the gap.
            TerminalError: whatever else no later try could make better.
        """
        warm_up()  # before the group counts on this member
        try:
            while not self._stop.is_set():
                try:
                    self._round()
                except TransientError as error:
                    self._failed(error)
            self._finish()
        finally:
            self._leave()
        return self._total

    def _round(self) -> None:
        if self._ingest is None:
            self._ingest = self._open_ingest()
            self._say("joined")
        ingest = self._ingest
        self._look_around(ingest)
        came = ingest.gather(
            min(_WAIT_SECONDS, self._linger_seconds), batch_records=self._batch_records
        )
        due = ingest.due(self._linger_seconds, batch_records=self._batch_records)
        for topic in due:
            self._land(ingest, topic)
        waiting = ingest.waiting()
        self._metrics.waiting(*waiting)
        if not came and not waiting[0]:
            self._health.succeeded()
        self._health.mark_round()

    def _land(self, ingest: IngestConsumer, topic: str) -> None:
        try:
            landing = ingest.land(topic)
        except ConcurrencyError:
            self._metrics.lost_race()
            self._total.lost_races += 1
            raise
        self._health.succeeded()
        self._metrics.landed(landing)
        report = landing.report
        self._total.add(report)
        self._say(
            "landed",
            topic=topic,
            read=report.read,
            rows=report.landed.total() + report.feedback.total(),
            dead_letters=dict(report.dead_letters),
            decode_seconds=round(report.decode_seconds, 4),
            commit_seconds=round(report.commit_seconds, 4),
        )

    def _look_around(self, ingest: IngestConsumer) -> None:
        # What costs a request or reads files is done every few seconds only.
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        try:
            problems = self._problems()
            self._metrics.not_loaded(len(problems))
            ingest.accept(self._workloads(), problems.keys())
            self._report(problems)
        except ConfigurationError as error:
            # A file that is being edited must not stop the events of the other workloads.
            self._say("workloads_not_read", error=error.message, next_step=error.next_step)
        lags = ingest.lags()
        self._metrics.lagging(lags)
        self._total.lag = sum(lags.values())

    def _report(self, problems: Mapping[str, WorkloadProblem]) -> None:
        # Once, not every few seconds; and again when it has another reason.
        for problem in problems.values():
            if problem.error.message not in self._reported:
                self._say(
                    "workload_not_loaded",
                    workload=problem.workload_id,
                    error=problem.error.message,
                    next_step=problem.error.next_step,
                )
        self._reported = frozenset(one.error.message for one in problems.values())

    def _failed(self, error: TransientError) -> None:
        self._health.failed(error.message)
        self._metrics.failed(error)
        failures = self._health.failures
        wait = min(_FIRST_BACKOFF_SECONDS * 2 ** (failures - 1), _LONGEST_BACKOFF_SECONDS)
        self._say(
            "failed",
            error=type(error).__name__,
            message=error.message,
            failures=failures,
            again_in_seconds=wait,
        )
        if failures % _JOIN_AGAIN == 0:
            self._leave()
        self._stop.wait(wait)

    def _finish(self) -> None:
        # A graceful end: what was read lands now, and need not be read again by another member.
        if self._ingest is None:
            return
        with suppress(TransientError):
            for topic in self._ingest.due(0.0):
                self._land(self._ingest, topic)
            self._total.lag = self._ingest.lag()

    def _leave(self) -> None:
        if self._ingest is not None:
            with suppress(TransientError):
                self._ingest.close()
            self._say("left", read=self._total.read, commits=self._total.commits)
        self._ingest = None
