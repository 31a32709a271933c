"""Trainings of some seconds on a Ray worker, and what was seen of them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from safetensors.numpy import load_file

from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
from tests.fakes.micro_base import training_spec

__all__ = ["TOLERANCE", "Listener", "long_spec", "same_weights", "trainers"]

# The same steps on the same rows: what remains is the rounding of optimizer state on its way
# through a checkpoint.
TOLERANCE = 1e-5


def long_spec(folder: Path, *, epochs: int = 15, seed: int = 0) -> TrainSpec:
    """Return the spec of a training that lasts long enough to be hurt."""
    return training_spec(folder, rows=40, epochs=epochs, checkpoint_steps=15, seed=seed)


@dataclass
class Listener:
    """Takes progress and notices, and does something once at a step."""

    at: float = 2.0
    act: "object" = None
    steps: list[int] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    acted: bool = False

    def progress(self, line: TrainProgress) -> None:
        """Remember the step; act when it is the one."""
        self.steps.append(line.step)
        if not self.acted and line.step >= self.at * line.steps:
            self.acted = True
            assert callable(self.act)
            self.act()

    def notice(self, text: str) -> None:
        """Remember the notice."""
        self.notices.append(text)

    def told(self, part: str) -> list[str]:
        """Return the notices that say this."""
        return [text for text in self.notices if part in text]


def trainers(exchange_url: str) -> list[psutil.Process]:
    """Return the trainers on this machine whose jobs hand out into this exchange."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:3] == ["-m", "flywheel.train"]:
                job = process.parent()
                if job is not None and exchange_url in job.cmdline():
                    found.append(process)
        except psutil.Error:
            continue
    return found


def same_weights(expected: Path, found: Path, result: TrainResult) -> None:
    """Assert that two output folders hold the same adapter, within the tolerance."""
    name = f"{result.adapter}/adapter_model.safetensors"
    before, after = load_file(expected / name), load_file(found / name)
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_allclose(after[key], value, atol=TOLERANCE, err_msg=key)
