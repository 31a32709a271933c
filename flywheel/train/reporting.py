"""What a run tells while it goes: one JSON line of progress at a time, and a stop on request."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from flywheel.artifacts.local_copy import bring_here
from flywheel.ports.train_launcher import TrainProgress
from flywheel.train.data_parallel import is_first_worker, stop_if_any
from flywheel.train.hardware import memory_bytes

__all__ = ["PROGRESS", "progress_callback", "read_progress"]

PROGRESS = "progress.jsonl"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def progress_callback(
    out: Path,
    trainer: Any,
    stage: Literal["search", "sft", "preference"],
    *,
    before: int,
    steps: int,
) -> Any:
    """Build the callback that writes progress and stops after a SIGTERM or SIGINT.

    It stops when asked within its ``listening()``; ``stopped`` on it tells afterwards whether it
    was, ``losses`` and ``rewards`` what was said.

    Args:
        out: the output folder.
        trainer: its ``tokens_seen`` is the measure of speed.
        stage: written into every line.
        before: steps of the stages before this one.
        steps: steps of all stages.
    """
    from transformers import TrainerCallback

    class Reporting(TrainerCallback):
        def __init__(self) -> None:
            self.stopped = False
            self.losses: list[float] = []
            self.rewards: dict[str, float] = {}
            self._started = time.perf_counter()
            self._last = (self._started, 0)

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            self._started = time.perf_counter()
            self._last = (self._started, int(trainer.tokens_seen))

        @contextmanager
        def listening(self) -> Iterator[None]:
            handlers = {number: signal.signal(number, self._stop) for number in _SIGNALS}
            try:
                yield
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            self.stopped = stop_if_any(args.device, stopped=self.stopped)
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
            now, tokens = time.perf_counter(), int(trainer.tokens_seen)
            then, earlier = self._last
            self._last = (now, tokens)
            self.losses.append(float(logs["loss"]))
            # A batch of KTO may hold one side alone: the other one's figures stay.
            self.rewards |= {
                name.removeprefix("rewards/"): round(float(value), 4)
                for name, value in logs.items()
                if name.startswith("rewards/")
            }
            line = TrainProgress(
                step=before + state.global_step,
                steps=steps,
                epoch=round(state.epoch or 0.0, 3),
                loss=float(logs["loss"]),
                tokens_per_second=round((tokens - earlier) / max(now - then, 1e-9), 1),
                seconds=round(now - self._started, 2),
                memory_bytes=memory_bytes(),
                stage=stage,
                rewards=self.rewards,
            )
            _append(out / PROGRESS, line.model_dump_json() + "\n")

        def _stop(self, number: int, frame: Any) -> None:  # noqa: ARG002 - signal's signature
            self.stopped = True

    return Reporting()


def read_progress(out: Path) -> list[TrainProgress]:
    """Read what the runs in an output folder told; of a step that was trained again, the last.

    Trials of a search are no steps of the training.
    """
    path = out / PROGRESS
    bring_here(path)
    content = path.read_bytes() if path.exists() else b""
    complete_lines = content[: content.rfind(b"\n") + 1].splitlines()
    points = [TrainProgress.model_validate_json(line) for line in complete_lines]
    return list({point.step: point for point in points if point.stage != "search"}.values())


def _append(path: Path, line: str) -> None:
    if not is_first_worker():
        return
    # One write to a file opened for appending: a reader sees whole lines, or none.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
