"""What a run tells while it goes: one JSON line of progress at a time, and a stop on request."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from flywheel.ports.train_launcher import TrainProgress

__all__ = ["PROGRESS", "progress_callback", "read_progress"]

PROGRESS = "progress.jsonl"


def progress_callback(out: Path, tokens_per_row: float, rows_per_step: int) -> Any:
    """Build the trainer callback that writes progress and stops after a SIGTERM or SIGINT.

    ``stopped`` on it tells afterwards whether the run was asked to stop.
    """
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):
        def __init__(self) -> None:
            self.stopped = False
            self.losses: list[float] = []
            self._started = time.perf_counter()
            self._last = (self._started, 0)

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            self._started = time.perf_counter()
            self._last = (self._started, state.global_step)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._stop)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            if self.stopped:
                control.should_save = True
                control.should_training_stop = True

        def on_log(
            self,
            args: Any,  # noqa: ARG002
            state: Any,
            control: Any,  # noqa: ARG002
            logs: dict[str, float] | None = None,
            **_: Any,
        ) -> None:
            if not logs or "loss" not in logs:
                return
            now = time.perf_counter()
            then, step = self._last
            self._last = (now, state.global_step)
            self.losses.append(float(logs["loss"]))
            tokens = (state.global_step - step) * rows_per_step * tokens_per_row
            line = TrainProgress(
                step=state.global_step,
                steps=state.max_steps,
                epoch=round(state.epoch or 0.0, 3),
                loss=float(logs["loss"]),
                tokens_per_second=round(tokens / max(now - then, 1e-9), 1),
                seconds=round(now - self._started, 2),
                memory_bytes=_memory_bytes(),
            )
            _append(out / PROGRESS, line.model_dump_json() + "\n")

        def _stop(self, number: int, frame: Any) -> None:  # noqa: ARG002 - signal's signature
            self.stopped = True

    return Reporting()


def read_progress(out: Path) -> list[TrainProgress]:
    """Read what the runs in an output folder told; of a step that was trained again, the last."""
    path = out / PROGRESS
    content = path.read_bytes() if path.exists() else b""
    whole = content[: content.rfind(b"\n") + 1].splitlines()
    points = [TrainProgress.model_validate_json(line) for line in whole]
    return list({point.step: point for point in points}.values())


def _append(path: Path, line: str) -> None:
    # One write to a file opened for appending: a reader sees whole lines, or none.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def _memory_bytes() -> int:
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource  # noqa: PLC0415 - not on every platform

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
