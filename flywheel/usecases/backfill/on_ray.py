"""`RayExecutor`: BulkExecutor on the Ray cluster that trains, as jobs of Ray Data.

Nothing is shared with a worker but the exchange, and nothing but this process writes the lake.
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import flywheel
from flywheel.errors import IntegrityError, UnavailableError
from flywheel.ports.bulk_work import BulkWork, OnResult, TextPart
from flywheel.train.launch.cached_base import put_base
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_cluster import RayCluster
from flywheel.train.launch.ray_outcomes import AGAIN, ERRORS
from flywheel.train.launch.ray_run import RayRun
from flywheel.usecases.backfill.part_files import PartFiles
from flywheel.usecases.backfill.ray_job import BulkJob

__all__ = ["RayExecutor"]

_PROGRAM = "flywheel.usecases.backfill.ray_job"
_PATIENCE_SECONDS = 180.0
# Jobs in a row that were lost and did no part.
_TRIES = 3
_NO_RESULTS = (IntegrityError, "")


@dataclass(frozen=True)
class RayExecutor:
    """Hand parts to a job, and take their results as they come.

    Args:
        cluster: Ray's dashboard, and what one worker reserves.
        exchange_url: A folder or object store (fsspec) that this machine and the workers share.
        workers: Most workers at once; those that trainings hold are waited for.
        lease_seconds: How long a job continues when no process asks for it.
    """

    cluster: RayCluster
    exchange_url: str
    workers: int = 1
    lease_seconds: float = 900.0

    def run(
        self,
        work: BulkWork,
        parts: Iterable[TextPart],
        *,
        on_result: OnResult,
        on_notice: Callable[[str], None],
    ) -> None:
        """Run jobs until every part has its result; see `BulkExecutor`."""
        _Work(self, work, on_result, on_notice).run(parts)


class _Work:
    """One backfill: its run in the exchange, the parts that are open, and the jobs that it takes."""

    def __init__(
        self,
        executor: RayExecutor,
        work: BulkWork,
        on_result: OnResult,
        on_notice: Callable[[str], None],
    ) -> None:
        self._executor, self._work = executor, work
        self._on_result, self._on_notice = on_result, on_notice
        self._exchange = Exchange(executor.exchange_url)
        # Of two deployments on one cluster, each has its own exchange.
        identity = f"{executor.exchange_url}\n{work.model_dump_json()}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        self._jobs = RayRun(
            executor.cluster,
            self._exchange,
            f"{work.workload.id}-{work.kind}-{digest}",
            executor.lease_seconds,
            _PATIENCE_SECONDS,
            hand_over=self._hand_over,
            submit=self._submit,
            is_done=lambda: not self._open,
            read_news=self._take_results,
            on_notice=on_notice,
        )
        self._files = PartFiles(self._exchange, self._jobs.path, work.kind)
        self._open: set[str] = set()

    def run(self, parts: Iterable[TextPart]) -> None:
        self._jobs.claim()  # before the first text lies in the exchange
        self._take_results()  # of an earlier call; what is landed is not among the parts then
        for part in parts:
            self._open.add(self._files.put_part(part))
        if not self._open:
            self._jobs.stop()
        left = _TRIES
        while self._open:
            before = len(self._open)
            outcome = self._jobs.run_job()
            left = left - 1 if len(self._open) == before else _TRIES
            goes_on = outcome.reason == "succeeded" or outcome.reason in AGAIN
            if self._open and not (goes_on and left):
                kind, _ = ERRORS.get(outcome.reason, _NO_RESULTS)
                raise kind(
                    outcome.detail,
                    next_step=f"read the job's log ({self._executor.cluster.url}) and run the "
                    "backfill again: what has landed stays",
                    reason=outcome.reason,
                )
            if self._open:
                self._on_notice(
                    f"{outcome.detail} Started again: {len(self._open)} parts are left."
                )
        with suppress(UnavailableError):  # else it is removed with the old ones
            self._exchange.remove(self._jobs.path)

    def _take_results(self) -> bool:
        names = self._files.new_results()
        for name in names:
            try:
                result = self._files.take_result(name)
            except IntegrityError as error:
                self._on_notice(f"A result is made again: {error.message}")
                continue
            self._on_result(*result)
            self._open.discard(name)
        return bool(names)

    def _hand_over(self) -> None:
        work = self._work
        base = adapter = None
        if work.base_folder is not None:
            base = put_base(self._exchange, work.base_folder, work.base_digest, self._on_notice)
        if work.adapter is not None:
            adapter = f"{self._jobs.path}/adapter"
            if not self._exchange.has_folder(adapter):
                self._exchange.put_folder(work.adapter, adapter)
        cluster = self._executor.cluster
        job = BulkJob(
            version=flywheel.__version__,
            work=work,
            base=base,
            adapter=adapter,
            parts=tuple(sorted(self._open)),
            workers=self._executor.workers,
            gpus=cluster.gpus,
            resource=cluster.resource,
            lease_seconds=self._executor.lease_seconds,
        )
        self._exchange.write(f"{self._jobs.path}/job.json", job.model_dump_json().encode())

    def _submit(self, submission: str) -> None:
        arguments = [self._executor.exchange_url, self._jobs.path]
        self._executor.cluster.submit(submission, arguments, program=_PROGRAM, workers=None)
