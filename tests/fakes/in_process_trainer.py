"""The trainer inside the process that asks, for tests of what comes before and after a training.

A trainer of its own spends 9 of its 10 CPU-seconds on imports. It is the same recipe and, with the
same threads, the same adapter; that a child process trains, dies and resumes is proven by
``tests/contract/test_train_launcher.py``, ``tests/faults`` and ``tests/e2e/test_turn.py``.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec, ignore_notice
from flywheel.train.reporting import read_progress

__all__ = ["InProcessTrainer"]


class InProcessTrainer:
    """A launcher that starts no process."""

    def run(
        self,
        spec: TrainSpec,
        out: Path,
        *,
        on_progress: Callable[[TrainProgress], None],
        on_notice: Callable[[str], None] = ignore_notice,  # noqa: ARG002 - nothing waits, nothing moves
    ) -> TrainResult:
        """Train, report every step at the end, and return the result."""
        from flywheel.train.recipe import train

        out.mkdir(parents=True, exist_ok=True)
        before = len(read_progress(out))
        with warnings.catch_warnings():  # of the libraries, about each other's names
            warnings.simplefilter("ignore")
            result = train(spec, out)
        for line in read_progress(out)[before:]:
            on_progress(line)
        return result
