"""A training that is killed resumes from its last complete checkpoint, to the same result."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from flywheel.ports.train_launcher import TrainProgress, TrainSpec
from flywheel.train.checkpoints import last_complete
from flywheel.train.launch.subprocess import SubprocessTrainLauncher
from flywheel.train.reporting import read_progress
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.micro_base import training_spec
from tests.fakes.waiting import wait_until

# The same steps on the same rows: what remains is the rounding of optimizer state on its way
# through a checkpoint.
TOLERANCE = 1e-5

pytestmark = pytest.mark.slow


class KilledError(Exception):
    """Stands for a killed launcher."""


def kill_at(step: int):
    def on_progress(progress: TrainProgress) -> None:
        if progress.step >= step:
            raise KilledError

    return on_progress


def weights(out: Path, adapter: str) -> dict[str, np.ndarray]:
    return load_file(out / adapter / "adapter_model.safetensors")


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def long_spec(folder: Path) -> TrainSpec:
    return training_spec(folder, rows=40, epochs=4, checkpoint_steps=4)


def test_killed_run_resumes_to_the_same_weights(tmp_path: Path):
    """SIGKILL at 60 % and a new start give the weights of the run that was left alone."""
    spec = long_spec(tmp_path / "dataset")
    whole = InProcessTrainer().run(spec, tmp_path / "whole", on_progress=lambda _: None)
    out = tmp_path / "killed"
    out.mkdir()
    (out / "spec.json").write_text(spec.model_dump_json())
    child = subprocess.Popen(
        [sys.executable, "-m", "flywheel.train", str(out / "spec.json"), "--out", str(out)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    total = int(whole.metrics["steps"])
    wait_until(
        lambda: len(read_progress(out)) >= 0.6 * total, "60 % of the steps", pause=0.02, alive=child
    )
    child.kill()
    assert child.wait() == -signal.SIGKILL
    left = last_complete(out)
    assert left is not None
    # No library adds a model card, or a count of operations that nobody reads.
    assert list(left.parent.rglob("*.md")) == []
    assert json.loads((left / "trainer_state.json").read_bytes())["total_flos"] == 0
    # A checkpoint that was being written is passed over.
    torn = left.with_name(f"checkpoint-{total + 100}")
    torn.mkdir()
    (torn / "adapter_model.safetensors").write_bytes(b"torn")
    assert last_complete(out) == left

    resumed = InProcessTrainer().run(spec, out, on_progress=lambda _: None)

    assert resumed.resumed_from_step == int(left.name.rpartition("-")[2]) > 0
    expected = weights(tmp_path / "whole", whole.adapter)
    found = weights(out, resumed.adapter)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=TOLERANCE, err_msg=name)


def test_launcher_that_fails_ends_its_child(tmp_path: Path):
    """An exception in the launcher leaves no trainer behind, and the next try resumes."""
    spec = long_spec(tmp_path / "dataset")
    out = tmp_path / "out"
    with pytest.raises(KilledError):
        SubprocessTrainLauncher().run(spec, out, on_progress=kill_at(6))
    assert not [pid for pid in _trainers(out) if alive(pid)]
    again = InProcessTrainer().run(spec, out, on_progress=lambda _: None)
    assert again.resumed_from_step > 0


def test_trainer_ends_with_its_launcher(tmp_path: Path):
    """A launcher killed by SIGKILL takes the trainer with it."""
    spec = long_spec(tmp_path / "dataset").model_copy(deep=True)
    out = tmp_path / "out"
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    launch = (
        "import sys; from pathlib import Path\n"
        "from flywheel.ports.train_launcher import TrainSpec\n"
        "from flywheel.train.launch.subprocess import SubprocessTrainLauncher\n"
        "spec = TrainSpec.model_validate_json(Path(sys.argv[1]).read_bytes())\n"
        "SubprocessTrainLauncher().run(spec, Path(sys.argv[2]), on_progress=lambda _: None)\n"
    )
    command = [sys.executable, "-c", launch, str(tmp_path / "spec.json"), str(out)]
    launcher = subprocess.Popen(command)
    wait_until((out / "progress.jsonl").exists, "a first step", pause=0.02, alive=launcher)
    (trainer,) = _trainers(out)
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not alive(trainer), "the trainer's end", seconds=120, pause=0.02)
    assert not (out / "result.json").exists()


def _trainers(out: Path) -> list[int]:
    # Processes of this user that train into this folder.
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"flywheel.train" in words and str(out).encode() in words:
                found.append(int(entry.name))
    return found
