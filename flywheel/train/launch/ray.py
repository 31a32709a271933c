"""TrainLauncher on a Ray cluster: the trainer program as a Ray job, on a worker with what it needs.

Nothing is shared with the worker but the exchange. A job is a lease: it is found again by a process that
asks for the same training, and ends by itself when none does. What it reports is not trusted: the
result is verified here.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import flywheel
from flywheel.artifacts.base_folder import load_base
from flywheel.errors import IntegrityError, TerminalError, UnavailableError
from flywheel.io.atomic import place, write_bytes
from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec, ignore_notice
from flywheel.train.checkpoints import FOLDERS, step_of
from flywheel.train.export import RESULT, finished, spec_digest
from flywheel.train.launch.cached_base import put_base
from flywheel.train.launch.checkpoint_uploader import LOG
from flywheel.train.launch.exchange import Exchange
from flywheel.train.launch.ray_cluster import RayCluster
from flywheel.train.launch.ray_outcomes import AGAIN, ERRORS
from flywheel.train.launch.ray_protocol import Job
from flywheel.train.launch.ray_run import RayRun
from flywheel.train.reporting import PROGRESS
from flywheel.train.rows import training_rows

__all__ = ["RayTrainLauncher"]


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
        self._name = f"{spec.workload.id}-{spec.cycle}-{spec.attempt}-{digest}"
        self._jobs = RayRun(
            self._cluster,
            self._exchange,
            self._name,
            launcher.lease_seconds,
            launcher.patience_seconds,
            hand_over=self._hand_over,
            submit=self._submit,
            is_done=self._has_result,
            read_news=self._tell,
            on_notice=on_notice,
        )
        self._run = self._jobs.path
        before = self._exchange.read(f"{self._run}/{PROGRESS}") or b""
        self._told = before.rfind(b"\n") + 1

    def run(self) -> TrainResult:
        """Find or start its job, follow it, and start another where a worker was lost."""
        for number in range(1, self._launcher.tries + 1):
            outcome = self._jobs.run_job()
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

    def _hand_over(self) -> None:
        spec, exchange = self._spec, self._exchange
        base = put_base(exchange, spec.base_folder, spec.base_digest, self._on_notice)
        dataset = f"{self._run}/dataset"
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

    def _submit(self, submission: str) -> None:
        self._cluster.submit(
            submission,
            [self._launcher.exchange_url, self._run],
            workers=self._spec.recipe.workers,
        )

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
                    f"The job flywheel-{self._name} ended well, but left no result.",
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
