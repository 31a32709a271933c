"""A training on several workers: the same losses and the same adapter as on one, also when one is lost."""

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from flywheel.ports.train_launcher import TrainProgress
from flywheel.train.launch.subprocess import SubprocessTrainLauncher
from flywheel.train.recipe import train
from flywheel.train.reporting import read_progress
from tests.fakes.micro_base import training_spec

# The same rows in every step: the sums of losses and gradients are rounded in another order.
TOLERANCE = 1e-5

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def test_two_workers_of_which_one_is_killed_train_as_one_does(tmp_path: Path):
    """Rows that do not divide evenly; SIGKILL after step 8 costs what came after step 6."""
    spec = training_spec(tmp_path / "dataset", rows=21, epochs=2, batch_size=4, seed=3)
    alone = train(spec, tmp_path / "alone")
    assert alone is not None
    steps: list[int] = []
    killed: list[int] = []

    def kill_one(progress: TrainProgress) -> None:
        steps.append(progress.step)
        if progress.step >= 8 and not killed:
            killed.append(worker(rank=1))
            os.kill(killed[0], signal.SIGKILL)

    shared = spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"workers": 2})})
    out = tmp_path / "shared"
    together = SubprocessTrainLauncher().run(shared, out, on_progress=kill_one)

    log = (out / "train.log").read_text()
    assert killed
    assert "A worker was killed by SIGKILL. All start again from step" in log
    assert together.resumed_from_step in {6, 9}
    assert set(steps) == set(range(1, 13))
    assert losses(out) == pytest.approx(losses(tmp_path / "alone"), abs=TOLERANCE)
    assert together.metrics["steps"] == alone.metrics["steps"] == 12
    assert_same_adapter(out / together.adapter, tmp_path / "alone" / alone.adapter)
    assert together.details["training"]["sft"]["plan"]["workers"] == 2


def losses(out: Path) -> list[float]:
    return [point.loss for point in read_progress(out)]


def worker(rank: int) -> int:
    """Return the process id of a worker below this process."""
    for process in psutil.Process().children(recursive=True):
        if "--worker" in process.cmdline() and process.environ().get("RANK") == str(rank):
            return process.pid
    raise AssertionError("no such worker")


def assert_same_adapter(found: Path, expected: Path) -> None:
    weights = load_file(found / "adapter_model.safetensors")
    for name, value in load_file(expected / "adapter_model.safetensors").items():
        np.testing.assert_allclose(weights[name], value, atol=TOLERANCE, err_msg=name)
