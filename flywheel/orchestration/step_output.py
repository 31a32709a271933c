"""`StepOutput`: what a step prints, in the files that Dagster's UI shows and in its process's output.

Dagster's own manager starts four processes for each step that pass on what is written to the two
files (two ``tail``, two Python programs that watch over them), 30 ms of processor time. Here threads
of the step's process do it. What was printed last before a process is killed is in the files alone.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._serdes import ConfigurableClassData

__all__ = ["StepOutput"]

# As often as ``tail -F`` looks.
_LOOK_SECONDS = 1.0
_PASS_ON_SECONDS = 10.0


class StepOutput(LocalComputeLogManager):
    """Keep the output of steps below ``<DAGSTER_HOME>/storage``, where Dagster's own keeps it."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "StepOutput":
        """Open it as ``dagster.yaml`` says; ``base_dir`` is Dagster's home."""
        return cls(str(Path(config_value["base_dir"], "storage")), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Write the output of the block to the files of a step, and pass it on meanwhile."""
        out, err = (
            Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))
            for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        with _captured(sys.stdout, out), _captured(sys.stderr, err):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()  # type: ignore[no-untyped-call]


@contextmanager
def _captured(stream: IO[str], path: Path) -> Iterator[None]:
    descriptor = _descriptor(stream)
    path.touch()
    if descriptor is None:  # a test's stand-in, which has no output to redirect
        yield
        return
    has_ended = Event()
    source, target = path.open("rb"), os.fdopen(os.dup(descriptor), "wb")
    source.seek(0, os.SEEK_END)
    reader = Thread(target=_pass_on, args=(source, target, has_ended), daemon=True)
    reader.start()
    try:
        with redirect_to_file(stream, str(path)):
            yield
    finally:
        has_ended.set()
        # A terminal or pipe that nobody reads does not hold the step: its output is in the file.
        reader.join(_PASS_ON_SECONDS)


def _pass_on(source: IO[bytes], target: IO[bytes], has_ended: Event) -> None:
    with source, target:
        is_over = False
        while not is_over:
            is_over = has_ended.wait(_LOOK_SECONDS)
            # A process that the step left behind may write on: not after the end.
            left = os.fstat(source.fileno()).st_size - source.tell()
            while chunk := source.read(min(left, 1 << 16)):
                left -= len(chunk)
                target.write(chunk)
            target.flush()


def _descriptor(stream: IO[str]) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, OSError):
        return None
