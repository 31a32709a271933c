"""TrainLauncher on a Ray cluster: the trainer program as a Ray job, on a worker with what it needs.

Nothing is shared with the worker but the exchange. A job is a lease: it is found again by a process that
asks for the same training, and ends by itself when none does. What it reports is not trusted: the
result is verified here.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import flywheel
from flywheel.artifacts.base_folder import load_base
from flywheel.errors import (
    FlywheelError,
    IntegrityError,
    TerminalError,
    UnavailableError,
)
from flywheel.io.atomic import place, write_bytes
from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec, ignore_notice
from flywheel.train.checkpoints import FOLDERS, step_of
from flywheel.train.export import RESULT, finished, spec_digest
from flywheel.train.launch.checkpoint_uploader import LOG
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_cluster import RayCluster
from flywheel.train.launch.ray_outcomes import AGAIN, ERRORS, from_ray
from flywheel.train.launch.ray_protocol import (
    Job,
    Lease,
    Outcome,
    forget_old_runs,
    outcome_path,
)
from flywheel.train.reporting import PROGRESS
from flywheel.train.rows import training_rows

__all__ = ["RayTrainLauncher"]

_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.5, 5.0
_BEATS = 6  # in the time of a lease
_LONGEST_BEAT_SECONDS = 60.0
_STOP_SECONDS = 45.0
_END_SECONDS = 10.0  # for Ray to notice the end of a job that has told its outcome
_QUEUE_SECONDS = 15.0
_KEPT_SECONDS = 14 * 86_400  # rows of an abandoned training


@dataclass(frozen=True)
class RayTrainLauncher:
    """Run the trainer as a job of Ray.

    Args:
        cluster: Ray's dashboard, and what one training reserves of a worker.
        exchange_url: A folder or object store (fsspec) that this machine and the workers share.
        memory_bytes: Memory at which a training is stopped; None for no limit of our own.
        lease_seconds: How long a job continues when no process asks for it.
        patience_seconds: How long a cluster that does not answer is waited for.
        tries: How many jobs one call starts when workers are lost.
    """

    cluster: RayCluster
    exchange_url: str
    memory_bytes: int | None = None
    lease_seconds: float = 900.0
    patience_seconds: float = 180.0
    tries: int = 3

    def run(
        self,
        spec: TrainSpec,
        out: Path,
        *,
        on_progress: Callable[[TrainProgress], None],
        on_notice: Callable[[str], None] = ignore_notice,
    ) -> TrainResult:
        """Run ``python -m flywheel.train`` on a worker and return its verified result."""
        done = finished(spec, out)
        if done is not None:
            return done
        training_rows(spec.dataset_folder, spec.dataset_hash)  # as the worker will, but sooner
        load_base(spec.base_folder)
        out.mkdir(parents=True, exist_ok=True)
        training = _Training(self, spec, out, on_progress, on_notice)
        try:
            result = training.run()
        except TerminalError:
            training.clear()
            raise
        training.clear()
        return result


class _Training:
    """One training: the jobs that it takes, one after the other."""

    def __init__(
        self,
        launcher: RayTrainLauncher,
        spec: TrainSpec,
        out: Path,
        on_progress: Callable[[TrainProgress], None],
        on_notice: Callable[[str], None],
    ) -> None:
        self._launcher, self._cluster = launcher, launcher.cluster
        self._exchange = Exchange(launcher.exchange_url)
        self._spec, self._out = spec, out
        self._on_progress, self._on_notice = on_progress, on_notice
        # Of two deployments on one cluster, each has its own exchange.
        identity = f"{launcher.exchange_url}\n{spec_digest(spec)}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        name = f"{spec.workload.id}-{spec.cycle}-{spec.attempt}-{digest}"
        self._name, self._run = f"flywheel-{name}", f"runs/{name}"
        before = self._exchange.read(f"{self._run}/{PROGRESS}") or b""
        self._told = before.rfind(b"\n") + 1

    def run(self) -> TrainResult:
        """Find or start its job, follow it, and start another where a worker was lost."""
        for number in range(1, self._launcher.tries + 1):
            lease = self._find_or_submit()
            outcome = self._followed(lease)
            if outcome.reason == "succeeded":
                return self._fetched()
            if outcome.reason not in AGAIN or number == self._launcher.tries:
                break
            names = [n for each in FOLDERS for n in self._exchange.names(f"{self._run}/{each}")]
            newest = max((step_of(name) or 0 for name in names), default=0)
            self._on_notice(
                f"{outcome.detail} It is started again from step {newest} "
                f"({number + 1} of {self._launcher.tries})."
            )
        self._copy_log()
        kind, step = ERRORS[outcome.reason]
        raise kind(outcome.detail, next_step=f"{step} ({self._out / LOG})", reason=outcome.reason)

    def clear(self) -> None:
        """Remove from the exchange what has done its work; the rows are people's words."""
        with suppress(UnavailableError):  # else it is removed with the old ones
            self._exchange.remove(self._run)

    def _find_or_submit(self) -> Lease:
        lease = self._lease()
        number = lease.number if lease else 1
        while (state := self._cluster.state(f"{self._name}-{number}")) is not None:
            if state.open or (state.succeeded and self._has_result()):
                self._on_notice(f"Goes on with the job {self._name}-{number}: {self._cluster.url}")
                return self._beat(number, lease.beat if lease else 0)
            number += 1
        if lease and lease.number == number:
            number += 1  # the cluster has forgotten it, but its worker may not have
        lease = self._beat(number, 0)
        self._hand_over()
        self._cluster.submit(
            lease.submission,
            [self._launcher.exchange_url, self._run],
            workers=self._spec.recipe.workers,
        )
        self._on_notice(f"Submitted the job {lease.submission}: {self._cluster.url}")
        return lease

    def _lease(self) -> Lease | None:
        lease = self._exchange.read_json(f"{self._run}/lease.json")
        return None if lease is None else Lease.model_validate(lease)

    def _beat(self, number: int, beat: int) -> Lease:
        lease = Lease(
            submission=f"{self._name}-{number}",
            number=number,
            beat=beat + 1,
            asked_at=time.time(),
        )
        self._exchange.write_json(f"{self._run}/lease.json", lease.model_dump())
        return lease

    def _hand_over(self) -> None:
        spec, exchange = self._spec, self._exchange
        forget_old_runs(exchange, before=time.time() - _KEPT_SECONDS)
        base, dataset = f"bases/{spec.base_digest}", f"{self._run}/dataset"
        if not exchange.has_folder(base):
            self._on_notice("The base model is put into the exchange.")
            exchange.put_folder(spec.base_folder, base)
        if not exchange.has_folder(dataset):
            exchange.put_folder(spec.dataset_folder, dataset)
        job = Job(
            version=flywheel.__version__,
            spec=spec,
            base=base,
            dataset=dataset,
            memory_bytes=self._launcher.memory_bytes,
            lease_seconds=self._launcher.lease_seconds,
        )
        exchange.write(f"{self._run}/job.json", job.model_dump_json().encode())

    def _followed(self, lease: Lease) -> Outcome:
        try:
            return self._follow(lease)
        except FlywheelError:
            raise
        except BaseException:
            # Cancelled, or the listener failed: nothing waits for the job any more.
            self._cluster.stop(lease.submission, seconds=_STOP_SECONDS)
            raise

    def _follow(self, lease: Lease) -> Outcome:
        pause = min(self._launcher.lease_seconds / _BEATS, _LONGEST_BEAT_SECONDS)
        begun = answered = beaten = news = time.monotonic()
        waits = False
        while True:
            outcome = self._outcome(lease)
            has_progress = self._tell()
            if outcome is not None:
                self._cluster.wait(lease.submission, seconds=_END_SECONDS)
                return outcome
            now = time.monotonic()
            news = now if has_progress else news
            if now - beaten > pause:
                lease, beaten = self._beat(lease.number, lease.beat), now
            try:
                state = self._cluster.state(lease.submission)
                answered = now
            except UnavailableError:
                if now - answered > self._launcher.patience_seconds:
                    raise
            else:
                if state is None or state.over:
                    self._tell()
                    return self._outcome(lease) or from_ray(lease, state)
                if state.waiting and not waits and now - begun > _QUEUE_SECONDS:
                    waits = True
                    self._on_notice(f"Waits for a worker with {self._cluster.wanted}.")
            # Often while something happens, seldom in a training of hours.
            quiet = min(_POLL_SECONDS + (now - news) / 60, _LONGEST_POLL_SECONDS)
            time.sleep(min(quiet, pause))

    def _outcome(self, lease: Lease) -> Outcome | None:
        outcome = self._exchange.read_json(f"{self._run}/{outcome_path(lease.submission)}")
        return None if outcome is None else Outcome.model_validate(outcome)

    def _tell(self) -> bool:
        content = self._exchange.read(f"{self._run}/{PROGRESS}") or b""
        complete_lines = content[self._told : content.rfind(b"\n") + 1]
        self._told += len(complete_lines)
        for line in complete_lines.splitlines():
            self._on_progress(TrainProgress.model_validate_json(line))
        return bool(complete_lines)

    def _has_result(self) -> bool:
        return self._exchange.has_folder(f"{self._run}/result")

    def _fetched(self) -> TrainResult:
        with tempfile.TemporaryDirectory(dir=self._out, prefix=".fetched-") as name:
            folder = Path(name) / "result"
            if self._has_result():
                self._exchange.get_folder(f"{self._run}/result", folder)
            result = finished(self._spec, folder)
            if result is None:
                raise IntegrityError(
                    f"The job {self._name} ended well, but left no result.",
                    next_step=f"read {self._out / LOG} and train again",
                )
            self._copy_log()
            shutil.rmtree(self._out / result.adapter, ignore_errors=True)
            # The result comes last: it says that the rest is there.
            for each in (PROGRESS, result.adapter, RESULT):
                place(folder / each, self._out / each)
        verified = finished(self._spec, self._out)
        assert verified is not None
        return verified

    def _copy_log(self) -> None:
        log = self._exchange.read(f"{self._run}/{LOG}")
        if log:
            write_bytes(self._out / LOG, log)
