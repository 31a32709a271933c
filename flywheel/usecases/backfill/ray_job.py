"""The backfill's job: ``python -m flywheel.usecases.backfill.ray_job EXCHANGE RUN SUBMISSION``.

It gives the parts that have no result yet to workers of the cluster, each of which loads the model
once. A part's result is in the exchange before Ray knows of it. The job ends when no process has
asked for it for the time of its lease, or when another job has it.
"""

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from flywheel.errors import FlywheelError, TransientError
from flywheel.ports.bulk_work import BulkWork
from flywheel.ports.model_server import BASE_RELEASE
from flywheel.train.launch.cached_base import cached_base
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_data import map_on_workers
from flywheel.train.launch.ray_lease_watch import LeaseWatch
from flywheel.train.launch.ray_program import read_job, run_program
from flywheel.train.launch.ray_protocol import Reason, VersionedJob
from flywheel.usecases.backfill.computing import Compute, answer_texts, embed_texts, result_of
from flywheel.usecases.backfill.part_files import PartFiles
from flywheel.workload.answers import AnswerCodec

__all__ = ["BulkJob", "PartWorker", "main"]

_POLL_SECONDS = 0.2


class BulkJob(VersionedJob):
    """The work and the names of its parts; the folders are paths in the exchange."""

    work: BulkWork
    base: str | None
    adapter: str | None
    parts: tuple[str, ...]
    workers: int
    gpus: float
    resource: str | None
    lease_seconds: float


class PartWorker:
    """Does parts on a worker; the model is loaded when the first one comes.

    Args:
        exchange_url: of the exchange.
        run: path of the run's folder in it.
    """

    def __init__(self, exchange_url: str, run: str) -> None:
        self._exchange = Exchange(exchange_url)
        self._job = read_job(self._exchange, run, BulkJob)
        self._files = PartFiles(self._exchange, run, self._job.work.kind)
        self._compute = _compute_of(self._exchange, self._job)

    def __call__(self, item: dict[str, str]) -> dict[str, str]:
        """Do the part of this name."""
        part = self._files.read_part(item["name"])
        self._files.put_result(item["name"], result_of(part, self._compute))
        return {"name": item["name"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return its exit code, which is not zero where parts are left."""
    reason = run_program("flywheel.usecases.backfill.ray_job", arguments, _do)
    return 0 if reason == "succeeded" else 1


def _do(exchange: Exchange, run: str, submission: str) -> tuple[Reason, str]:
    return _Mapping(read_job(exchange, run, BulkJob), exchange, run, submission).watch()


class _Mapping:
    """Ray Data's work in a thread, ended with this process when nobody asks for it any more."""

    def __init__(self, job: BulkJob, exchange: Exchange, run: str, submission: str) -> None:
        self._job, self._url, self._run = job, exchange.url, run
        self._lease = LeaseWatch(exchange, run, submission, job.lease_seconds)
        self._files = PartFiles(exchange, run, job.work.kind)
        self._names = self._files.without_result(job.parts)
        self._stopped = False
        self._error: Exception | None = None
        self._done = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def watch(self) -> tuple[Reason, str]:
        """Return why it ended, and in which words."""
        thread = threading.Thread(target=self._map, name="map", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            if self._stopped:
                return "interrupted", "It was stopped through Ray."
            if not self._lease.held():
                return "abandoned", self._lease.why
        if self._error is not None:
            return _outcome_of(self._error)
        left = self._files.without_result(self._names)
        if left:
            return "bug", f"Ray ended the work with {len(left)} parts left."
        return "succeeded", f"{self._done} parts are done."

    def _map(self) -> None:
        if not self._names:
            return
        try:
            for name in map_on_workers(
                self._names,
                PartWorker,
                (self._url, self._run),
                workers=self._job.workers,
                gpus=self._job.gpus,
                resource=self._job.resource,
            ):
                self._done += 1
                print(f"{name}: {self._done} of {len(self._names)}", flush=True)  # noqa: T201 - Ray keeps it
        except Exception as error:  # noqa: BLE001 - of Ray, or of a worker: the main thread tells
            self._error = error

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        self._stopped = True


def _outcome_of(error: BaseException) -> tuple[Reason, str]:
    # Ray wraps what a worker raised, and says it again in words.
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, FlywheelError):
        cause = cause.__cause__ or getattr(cause, "cause", None)
    if isinstance(cause, TransientError):
        return "interrupted", str(cause)
    if cause is not None:
        return "bad_data", str(cause)
    return "bug", f"{type(error).__name__}: {error}"


def _compute_of(exchange: Exchange, job: BulkJob) -> Compute:
    work = job.work
    if work.kind == "embed":
        return embed_texts
    from flywheel.serve.local_server import LocalModelServer

    assert job.base is not None
    assert work.precision is not None
    base = cached_base(exchange, job.base, work.base_digest)
    server = LocalModelServer(base, precision=work.precision)
    if job.adapter is not None:
        folder = Path(tempfile.mkdtemp(prefix="flywheel-adapter-"))
        try:
            exchange.get_folder(job.adapter, folder / "adapter")
            server.load(work.maker, folder / "adapter")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    release = work.maker if job.adapter is not None else BASE_RELEASE
    codec = AnswerCodec(work.workload, work.surfaces)
    return lambda texts: answer_texts(server, release, codec, texts)


if __name__ == "__main__":
    sys.exit(main())
