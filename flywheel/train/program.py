"""The trainer program around the recipe: arguments, environment, signals, exit codes."""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from pydantic import ValidationError

from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    DataError,
    FlywheelError,
    IntegrityError,
    InterruptedWorkError,
    NotFoundError,
    OutOfMemoryError,
    UnavailableError,
)
from flywheel.io.garbage import collect_seldom
from flywheel.io.lock import exclusive
from flywheel.io.parent_death import end_with_parent
from flywheel.ports.train_launcher import (
    EXIT_BAD_DATA,
    EXIT_BAD_SPEC,
    EXIT_DISK_FULL,
    EXIT_INTERRUPTED,
    EXIT_OUT_OF_MEMORY,
    TrainSpec,
)
from flywheel.train.export import finished
from flywheel.train.worker_group import train_in_workers

__all__ = ["LOADED", "LOG", "OFFLINE", "TAKEN", "first_gpus", "main", "read_spec"]

LOG = "train.log"
# What a trainer on standby says, each in a line of its own.
LOADED, TAKEN = b"loaded\n", b"taken\n"

# No hub and no telemetry: a run needs only the files of its spec.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin take the time of those that work
}
_GPUS = "CUDA_VISIBLE_DEVICES"
_LEAST_BYTES = 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    collect_seldom()
    parser = argparse.ArgumentParser(prog="python -m flywheel.train", description=__doc__)
    parser.add_argument("spec", type=Path, nargs="?", help="JSON file of a training spec")
    parser.add_argument("--out", type=Path, help="folder for everything written")
    parser.add_argument("--parent", type=int, help="process id to end together with")
    parser.add_argument(
        "--standby",
        action="store_true",
        help="load the libraries, then read spec and out as a line of JSON from standard input",
    )
    parser.add_argument("--worker", action="store_true", help="be one of several processes")
    options = parser.parse_args(arguments)
    if options.standby == (options.spec is not None and options.out is not None):
        parser.error("a spec and --out are needed, or --standby alone")
    os.environ.update(OFFLINE)
    if options.standby:
        # Libraries may look for GPUs as they are loaded.
        os.environ[_GPUS] = first_gpus(os.environ.get(_GPUS))
        if not _wait_for_spec(options):
            return 0
    # A launcher that is killed cannot clean up.
    if options.parent is not None and not end_with_parent(options.parent):
        return EXIT_INTERRUPTED
    try:
        spec = read_spec(options.spec)
        options.out.mkdir(parents=True, exist_ok=True)
        if options.worker:
            _train(spec, options.out)
            return 0
        workers = spec.recipe.workers
        os.environ[_GPUS] = first_gpus(os.environ.get(_GPUS), workers)
        with _alone(options.out):
            if workers > 1 and finished(spec, options.out) is None:
                return train_in_workers(options.spec, options.out, workers)
            _train(spec, options.out)
    except FlywheelError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return _exit_code(error)
    return 0


def _wait_for_spec(options: argparse.Namespace) -> bool:
    # False when the launcher ended, or closed the input, without a training.
    from flywheel.train.supervised import load_libraries

    load_libraries()
    _answer(LOADED)
    line = sys.stdin.readline()
    if not line:
        return False
    order = json.loads(line)
    options.spec, options.out = Path(order["spec"]), Path(order["out"])
    with (options.out / LOG).open("ab") as log:
        _answer(TAKEN)
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    return True


def _answer(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()


def first_gpus(visible: str | None, workers: int = 1) -> str:
    """Return the first of the GPUs that this process may use: one for each worker."""
    names = map(str, range(workers)) if visible is None else visible.split(",")[:workers]
    return ",".join(names)


def read_spec(path: Path) -> TrainSpec:
    """Read and check the spec file."""
    try:
        return TrainSpec.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{path} is not a training spec: {error}", next_step="let a launcher write it"
        ) from error


def _train(spec: TrainSpec, out: Path) -> None:
    with _disk_errors(out):
        from flywheel.train.recipe import train

        train(spec, out)


def _exit_code(error: FlywheelError) -> int:
    codes: tuple[tuple[tuple[type[FlywheelError], ...], int], ...] = (
        ((InterruptedWorkError,), EXIT_INTERRUPTED),
        ((OutOfMemoryError,), EXIT_OUT_OF_MEMORY),
        ((DataError,), EXIT_BAD_DATA),
        ((UnavailableError,), EXIT_DISK_FULL),
        ((ConfigurationError, IntegrityError, NotFoundError), EXIT_BAD_SPEC),
    )
    return next((code for kinds, code in codes if isinstance(error, kinds)), 1)


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except FlywheelError:
        raise
    except Exception as error:
        # Each library that writes a checkpoint says it in words of its own.
        full = "No space left on device" in str(error) or _free(out) < _LEAST_BYTES
        if not full:
            raise
        raise UnavailableError(
            f"The disk of {out} is full: {error}",
            next_step="make room, then start it again: it resumes from its last checkpoint",
        ) from error


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _alone(out: Path) -> AbstractContextManager[None]:
    def refusal(error: ConcurrencyError) -> InterruptedWorkError:
        return InterruptedWorkError(
            f"Another process is training into {out}: {error.message}", next_step=error.next_step
        )

    return exclusive(out / ".lock", wait=False, refusal=refusal)
