"""TrainLauncher on this machine: the trainer program as a child process.

The child cannot outlive this process, and what it says is not believed: the result is verified.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import flywheel
from flywheel.errors import (
    ConfigurationError,
    DataError,
    FlywheelError,
    IntegrityError,
    InterruptedWorkError,
    OutOfMemoryError,
    TrainingError,
    UnavailableError,
)
from flywheel.io.atomic import write_text
from flywheel.ports.train_launcher import (
    EXIT_BAD_DATA,
    EXIT_BAD_SPEC,
    EXIT_DISK_FULL,
    EXIT_INTERRUPTED,
    EXIT_OUT_OF_MEMORY,
    TrainProgress,
    TrainResult,
    TrainSpec,
    ignore_notice,
)
from flywheel.train.export import finished
from flywheel.train.program import LOADED, LOG, OFFLINE, TAKEN
from flywheel.train.reporting import PROGRESS

__all__ = ["SubprocessTrainLauncher"]

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 10.0
_LOADING_SECONDS = 300.0
_LOG_TAIL = 600
_ERRORS: dict[int, type[FlywheelError]] = {
    EXIT_BAD_SPEC: ConfigurationError,
    EXIT_BAD_DATA: DataError,
    EXIT_OUT_OF_MEMORY: OutOfMemoryError,
    EXIT_DISK_FULL: UnavailableError,
    EXIT_INTERRUPTED: InterruptedWorkError,
}


class SubprocessTrainLauncher:
    """Run the trainer as a child process."""

    def __init__(self) -> None:
        self._standby: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Start a trainer whose libraries are loaded by the time that a run asks for it.

        It takes half a gigabyte of memory until then, and ends together with this process. Called
        again before a run, it changes nothing.
        """
        if self._standby is None or self._standby.poll() is not None:
            self._standby = _start(["--standby"], subprocess.PIPE, subprocess.PIPE)

    def close(self) -> None:
        """End a trainer that nothing asked for."""
        if self._standby is not None:
            _end(self._standby)
            _close_pipes(self._standby)
            self._standby = None

    def run(
        self,
        spec: TrainSpec,
        out: Path,
        *,
        on_progress: Callable[[TrainProgress], None],
        on_notice: Callable[[str], None] = ignore_notice,  # noqa: ARG002 - nothing waits, nothing moves
    ) -> TrainResult:
        """Run ``python -m flywheel.train`` on ``spec`` and return its verified result."""
        done = finished(spec, out)
        if done is not None:
            return done
        out.mkdir(parents=True, exist_ok=True)
        path = out / "spec.json"
        write_text(path, spec.model_dump_json(indent=1))
        progress = _Tail(out / PROGRESS)
        if spec.recipe.workers > 1:
            self.close()  # it was given one GPU
        with self._child(path, out) as child:
            code = _wait(child, spec.recipe.timeout_seconds, progress, on_progress)
        progress.tell(on_progress)
        if code != 0:
            raise _failure(code, out / LOG)
        result = finished(spec, out)
        if result is None:
            raise IntegrityError(
                f"The trainer ended well, but {out} holds no result.",
                next_step=f"read {out / LOG} and train again",
            )
        return result

    @contextmanager
    def _child(self, spec: Path, out: Path) -> Iterator[subprocess.Popen[bytes]]:
        child, self._standby = self._standby, None
        if child is None or not _takes(child, spec, out):
            with (out / LOG).open("ab") as log:
                arguments = [str(spec), "--out", str(out)]
                child = _start(arguments, subprocess.DEVNULL, log.fileno())
        try:
            yield child
        finally:
            _end(child)


class _Tail:
    """Lines that are appended to a progress file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size if path.exists() else 0

    def tell(self, on_progress: Callable[[TrainProgress], None]) -> None:
        """Hand on the whole lines that came since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        complete_lines = new[: new.rfind(b"\n") + 1]
        self._read += len(complete_lines)
        for line in complete_lines.splitlines():
            on_progress(TrainProgress.model_validate_json(line))


def _start(arguments: Sequence[str], stdin: int, log: int) -> subprocess.Popen[bytes]:
    package = str(Path(flywheel.__file__).parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(  # noqa: S603 - our own program
        [
            *(sys.executable, "-m", "flywheel.train"),
            *(*arguments, "--parent", str(os.getpid())),
        ],
        stdin=stdin,
        stdout=log,
        stderr=subprocess.DEVNULL if log == subprocess.PIPE else log,
        env={**os.environ, **OFFLINE, "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
    )


def _takes(child: subprocess.Popen[bytes], spec: Path, out: Path) -> bool:
    # One that could not load its libraries does not: the run then starts its own, whose log says why.
    assert child.stdin is not None
    assert child.stdout is not None
    order = {"spec": str(spec.absolute()), "out": str(out.absolute())}
    takes = False
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            answers = bool(selector.select(_LOADING_SECONDS))
        # The libraries may print lines of their own.
        if answers and any(line == LOADED for line in child.stdout):
            child.stdin.write(json.dumps(order).encode() + b"\n")
            child.stdin.flush()
            takes = any(line == TAKEN for line in child.stdout)
    except BrokenPipeError:
        takes = False
    _close_pipes(child)
    if not takes:
        _end(child)
    return takes


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    for pipe in filter(None, (child.stdin, child.stdout)):
        with suppress(BrokenPipeError):  # what it did not read is not sent at the end either
            pipe.close()


def _wait(
    child: subprocess.Popen[bytes],
    timeout: float,
    progress: _Tail,
    on_progress: Callable[[TrainProgress], None],
) -> int:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return child.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            progress.tell(on_progress)
        if time.monotonic() > deadline:
            raise TrainingError(
                f"Training took longer than {timeout:g} s and was stopped.",
                next_step="raise training.timeout_seconds; it resumes from its last checkpoint",
            )


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(_GRACE_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
        else:
            break


def _failure(code: int, log: Path) -> FlywheelError:
    tail = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
    reason = f"The trainer ended with {code}: {tail}"
    if code < 0:
        return InterruptedWorkError(
            f"The trainer was killed by {signal.Signals(-code).name}.",
            next_step="train again: it resumes from its last complete checkpoint",
        )
    return _ERRORS.get(code, TrainingError)(reason, next_step=f"read {log}")
