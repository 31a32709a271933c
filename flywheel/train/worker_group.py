"""`train_in_workers`: the trainer program several times on this machine, by PyTorch's launcher (torchrun).

The workers share one training. When one is lost, the others are ended and all start again from the
last checkpoint; when memory is short, all start again with fewer rows at a time.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from flywheel.errors import ConfigurationError, InterruptedWorkError
from flywheel.ports.train_launcher import EXIT_INTERRUPTED, EXITS
from flywheel.train.checkpoints import last_complete, step_of
from flywheel.train.memory import PLANS

__all__ = ["check_devices", "group_exit", "train_in_workers"]

_TRIES = 3
_STOP_SECONDS = 20  # to save a checkpoint
_THREADS = "OMP_NUM_THREADS"


def train_in_workers(spec: Path, out: Path, workers: int) -> int:
    """Run ``python -m flywheel.train`` in so many processes and return the exit code of the group.

    Raises:
        ConfigurationError: the machine has fewer devices.
        InterruptedWorkError: it was asked to stop, or workers were lost again and again.
    """
    import torch

    has_gpus = torch.cuda.is_available()
    cores = len(os.sched_getaffinity(0))
    check_devices(workers, gpus=torch.cuda.device_count() if has_gpus else None, cores=cores)
    if not has_gpus:
        os.environ.setdefault(_THREADS, str(max(1, cores // workers)))
    tries = 1
    while True:
        plans = _plans(out)
        code = _run_group(spec, out, workers)
        if code >= 0 and (code != EXIT_INTERRUPTED or _plans(out) == plans):
            return code
        if code < 0:
            lost = f"A worker was killed by {signal.Signals(-code).name}."
            if tries == _TRIES:
                raise InterruptedWorkError(
                    f"{lost} It was the last of {_TRIES} tries.",
                    next_step="train again: it resumes from its last complete checkpoint",
                )
            tries += 1
            checkpoint = last_complete(out)
            start = step_of(checkpoint.name) if checkpoint else 0
            _say(f"{lost} All start again from step {start} (try {tries} of {_TRIES}).")
        else:
            _say("Memory was short: all start again with fewer rows at a time.")


def check_devices(workers: int, *, gpus: int | None, cores: int) -> None:
    """Refuse more workers than there are GPUs, or cores on a machine without a GPU.

    Raises:
        ConfigurationError: there are fewer.
    """
    count, kind = (cores, "CPU cores and no GPU") if gpus is None else (gpus, "GPUs")
    if workers > count:
        raise ConfigurationError(
            f"training.workers is {workers}, but this machine lets the training use {count} {kind}.",
            next_step=f"set training.workers to at most {count}, or train on a machine with "
            f"{workers} devices (FLYWHEEL_TRAIN_GPUS reserves them on Ray, per worker)",
        )


def group_exit(codes: Collection[int]) -> int:
    """Return the exit code of a group from those of the workers that failed.

    A code that names an error comes first, since the other workers fail for want of that one; then
    the signal that killed a worker, as a negative number.
    """
    for code in codes:
        if code in EXITS and code != EXIT_INTERRUPTED:
            return code
    killed = [code for code in codes if code < 0 and code != -signal.SIGTERM]
    if killed:
        return killed[0]
    stopped = {EXIT_INTERRUPTED, -signal.SIGTERM} & set(codes)
    return EXIT_INTERRUPTED if stopped else next(iter(codes), 1)


def _run_group(spec: Path, out: Path, workers: int) -> int:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    parent = str(os.getpid())
    arguments = ["-m", "flywheel.train", str(spec), "--out", str(out), "--parent", parent]
    with tempfile.TemporaryDirectory(prefix="flywheel-workers-") as logs:
        launch: Any = elastic_launch(
            LaunchConfig(
                min_nodes=1,
                max_nodes=1,
                nproc_per_node=workers,
                run_id=f"flywheel-{parent}",
                rdzv_backend="c10d",
                rdzv_endpoint="localhost:0",
                local_addr="localhost",
                max_restarts=0,  # which failure is worth another try is decided here
                shutdown_timeout=_STOP_SECONDS,
                logs_specs=DefaultLogsSpecs(log_dir=logs),
            ),
            sys.executable,
        )
        try:
            launch(*arguments, "--worker")
        except ChildFailedError as error:
            return group_exit([failure.exitcode for failure in error.failures.values()])
        except SignalException as error:
            raise InterruptedWorkError(
                "Training was asked to stop.", next_step="start it again: it resumes from there"
            ) from error
    return 0


def _plans(out: Path) -> bytes:
    path = out / PLANS
    return path.read_bytes() if path.exists() else b""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the launcher keeps it
