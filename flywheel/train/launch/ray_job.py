"""The job on a Ray worker: ``python -m flywheel.train.launch.ray_job EXCHANGE RUN SUBMISSION``.

It fetches what the spec names, runs ``python -m flywheel.train`` beside itself, hands progress and
every complete checkpoint out meanwhile, and at the end the result and the outcome. It ends
the training when no process has asked for it for the time of its lease, or when another job has it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

from flywheel.io.atomic import place, write_text
from flywheel.io.garbage import collect_seldom
from flywheel.ports.train_launcher import (
    EXIT_BAD_DATA,
    EXIT_BAD_SPEC,
    EXIT_DISK_FULL,
    EXIT_INTERRUPTED,
    EXIT_OUT_OF_MEMORY,
    TrainSpec,
)
from flywheel.train.export import ADAPTER, RESULT
from flywheel.train.launch.cached_base import cached_base
from flywheel.train.launch.checkpoint_uploader import LOG, CheckpointUploader, bring_back
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_lease_watch import LeaseWatch
from flywheel.train.launch.ray_program import read_job, run_program
from flywheel.train.launch.ray_protocol import Job, Reason
from flywheel.train.program import OFFLINE
from flywheel.train.reporting import PROGRESS

__all__ = ["main"]

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 30.0
_TAIL_BYTES = 1500
_REASONS: dict[int, Reason] = {
    0: "succeeded",
    EXIT_BAD_SPEC: "bad_spec",
    EXIT_BAD_DATA: "bad_data",
    EXIT_OUT_OF_MEMORY: "out_of_memory",
    EXIT_DISK_FULL: "disk_full",
    EXIT_INTERRUPTED: "interrupted",
}
_CODES: dict[Reason, int] = {reason: code for code, reason in _REASONS.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return its exit code, which is the trainer's where there is one."""
    collect_seldom()
    reason = run_program(
        "flywheel.train.launch.ray_job",
        arguments,
        lambda *of_job: _Work(*of_job).do(),
    )
    return _CODES.get(reason, 1)


class _Work:
    """One job, from the files in the exchange to the files in the exchange."""

    def __init__(self, exchange: Exchange, run: str, submission: str) -> None:
        self._exchange = exchange
        self._run = run
        self._submission = submission
        self._stopped = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def do(self) -> tuple[Reason, str]:
        """Fetch, train, hand out; return why it ended and in which words."""
        job = read_job(self._exchange, self._run, Job)
        # The rows are people's words: they do not stay on the worker.
        with tempfile.TemporaryDirectory(prefix="flywheel-train-") as name:
            folder = Path(name)
            out = folder / "out"
            out.mkdir()
            spec = self._fetch(job, folder, out)
            courier = CheckpointUploader(self._exchange, self._run, out)
            with _trainer(spec, folder, out) as child, courier:
                reason, detail = self._watch(child, job, out)
            if reason == "succeeded":
                self._put_result(folder, out)
            return reason, detail

    def _fetch(self, job: Job, folder: Path, out: Path) -> TrainSpec:
        dataset = folder / "dataset"
        self._exchange.get_folder(job.dataset, dataset)
        base = cached_base(self._exchange, job.base, job.spec.base_digest)
        bring_back(self._exchange, self._run, out)
        return job.spec.model_copy(update={"base_folder": base, "dataset_folder": dataset})

    def _watch(self, child: "subprocess.Popen[bytes]", job: Job, out: Path) -> tuple[Reason, str]:
        limit = job.spec.recipe.timeout_seconds
        deadline = time.monotonic() + limit
        lease = LeaseWatch(self._exchange, self._run, self._submission, job.lease_seconds)
        kills = _kernel_kills()
        log = _Echo(out / LOG)
        reason: tuple[Reason, str] | None = None
        while child.poll() is None:
            time.sleep(_POLL_SECONDS)
            log.tell()
            if self._stopped:
                reason = ("interrupted", "It was stopped through Ray.")
            elif time.monotonic() > deadline:
                reason = ("took_too_long", f"Training took longer than {limit:g} s.")
            elif not lease.held():
                reason = ("abandoned", lease.why)
            elif job.memory_bytes is not None and _memory(child.pid) > job.memory_bytes:
                gibibytes = job.memory_bytes / 2**30
                reason = ("out_of_memory", f"The trainer took more than {gibibytes:.3g} GiB.")
            if reason is not None:
                _end(child, gently=reason[0] != "out_of_memory")
                break
        log.tell()
        if reason is not None and child.returncode != 0:
            return reason
        return _told(child.returncode, log.tail(), kernel=_kernel_kills() > kills)

    def _put_result(self, folder: Path, out: Path) -> None:
        result = folder / "result"
        result.mkdir()
        for name in (ADAPTER, RESULT, PROGRESS):
            if (out / name).exists():
                place(out / name, result / name, durable=False)
        if (result / RESULT).exists():
            self._exchange.put_folder(result, f"{self._run}/result")

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        self._stopped = True


class _Echo:
    """The trainer's log, told to Ray's as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size if path.exists() else 0
        self._first = self._read

    def tell(self) -> None:
        """Print what is new."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
            self._read += len(new)
            sys.stdout.buffer.write(new)
            sys.stdout.buffer.flush()

    def tail(self) -> str:
        """Return the end of what this job's trainer wrote."""
        content = self._path.read_bytes() if self._path.exists() else b""
        return content[self._first :][-_TAIL_BYTES:].decode(errors="replace").strip()


def _told(code: int, tail: str, *, kernel: bool) -> tuple[Reason, str]:
    if code >= 0:
        return _REASONS.get(code, "bug"), tail
    name = signal.Signals(-code).name
    if code == -signal.SIGKILL and kernel:
        return "out_of_memory", "The kernel killed the trainer because memory had run out."
    if code in {-signal.SIGKILL, -signal.SIGTERM}:
        return "killed", f"The trainer was killed by {name}."
    return "bug", f"The trainer died of {name}: {tail}"


@contextmanager
def _trainer(spec: TrainSpec, folder: Path, out: Path) -> Iterator["subprocess.Popen[bytes]"]:
    path = folder / "spec.json"
    write_text(path, spec.model_dump_json(indent=1), durable=False)
    with (out / LOG).open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "flywheel.train", str(path)),
                *("--out", str(out), "--parent", str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **OFFLINE},
        )
    try:
        yield child
    finally:
        _end(child, gently=False)


def _end(child: "subprocess.Popen[bytes]", *, gently: bool) -> None:
    if child.poll() is not None:
        return
    if gently:
        child.terminate()  # it saves a checkpoint
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
    child.kill()
    child.wait()


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def _kernel_kills() -> int:
    try:
        lines = Path("/sys/fs/cgroup/memory.events").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


if __name__ == "__main__":
    sys.exit(main())
