"""The trainer program's exit codes, in this process and without training."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.errors import (
    ConfigurationError,
    DataError,
    FlywheelError,
    IntegrityError,
    InterruptedWorkError,
    LeakageError,
    OutOfMemoryError,
    TrainingError,
)
from flywheel.ports.train_launcher import (
    EXIT_BAD_DATA,
    EXIT_BAD_SPEC,
    EXIT_INTERRUPTED,
    StandbyLauncher,
)
from flywheel.train.launch.subprocess import SubprocessTrainLauncher
from flywheel.train.program import _alone, _exit_code, first_gpus, main
from tests.fakes.micro_base import training_spec, write_snapshot


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 64),
        (IntegrityError("x"), 64),
        (DataError("x"), 65),
        (LeakageError("x"), 65),
        (OutOfMemoryError("x"), 66),
        (InterruptedWorkError("x"), 75),
        (TrainingError("x"), 1),
    ],
)
def test_exit_code_tells_the_error(error: FlywheelError, code: int):
    """Each kind of failure has its own code."""
    assert _exit_code(error) == code


@pytest.mark.parametrize(
    ("visible", "workers", "used"),
    [
        (None, 1, "0"),
        ("", 1, ""),
        ("3", 1, "3"),
        ("2,3", 1, "2"),
        ("GPU-8f,GPU-9a", 1, "GPU-8f"),
        (None, 2, "0,1"),
        ("2,3,5", 2, "2,3"),
        ("3", 2, "3"),
    ],
)
def test_one_gpu_a_worker_is_used(visible: str | None, workers: int, used: str):
    """Of several GPUs the first are used, and none where none was given."""
    assert first_gpus(visible, workers) == used


def test_bad_spec_ends_with_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A file that is no spec says so."""
    path = tmp_path / "spec.json"
    path.write_text('{"release": 1}')
    assert main([str(path), "--out", str(tmp_path / "out")]) == EXIT_BAD_SPEC
    assert "not a training spec" in capsys.readouterr().err


def test_bad_data_ends_with_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Rows that are too long are named before any training."""
    rows = [{"inference_id": "long-one", "input": "leak " * 100, "output": "seal"}]
    spec = training_spec(tmp_path / "dataset", maximum_tokens=64)
    digest = write_snapshot(tmp_path / "dataset", rows)
    spec = spec.model_copy(update={"dataset_hash": digest})
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    code = main([str(tmp_path / "spec.json"), "--out", str(tmp_path / "out")])
    assert code == EXIT_BAD_DATA
    assert "long-one" in capsys.readouterr().err


def test_base_of_another_digest_is_a_bad_spec(tmp_path: Path):
    """A base that is not the one of the spec is never trained on."""
    spec = training_spec(tmp_path / "dataset").model_copy(update={"base_digest": "0" * 64})
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    assert main([str(tmp_path / "spec.json"), "--out", str(tmp_path / "out")]) == EXIT_BAD_SPEC


def test_folder_in_use_is_left_alone(tmp_path: Path):
    """A second trainer of the same folder steps back and may try again."""
    spec = training_spec(tmp_path / "dataset")
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    with _alone(tmp_path):
        assert main([str(tmp_path / "spec.json"), "--out", str(tmp_path)]) == EXIT_INTERRUPTED


def test_killed_trainer_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A trainer that dies by a signal is interrupted work, not a failed training."""
    program = tmp_path / "killed"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with pytest.raises(InterruptedWorkError, match="SIGKILL"):
        SubprocessTrainLauncher().run(
            training_spec(tmp_path / "dataset"), tmp_path / "out", on_progress=lambda _: None
        )


def test_prepared_trainer_that_died_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run whose prepared trainer cannot load its libraries starts one of its own."""
    program = tmp_path / "dying"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/started\n'
        'case "$*" in *--standby*) exit 1;; esac\nkill -9 $$\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    launcher = SubprocessTrainLauncher()
    assert isinstance(launcher, StandbyLauncher)  # which is how the demo knows it
    launcher.prepare()
    with pytest.raises(InterruptedWorkError, match="SIGKILL"):
        launcher.run(
            training_spec(tmp_path / "dataset"), tmp_path / "out", on_progress=lambda _: None
        )
    started = (tmp_path / "started").read_text().splitlines()
    assert ["--standby" in line for line in started] == [True, False]


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[str]]:
    """Yield a trainer that waits for its spec, without the libraries."""
    code = (
        "import sys, flywheel.train.supervised as s; s.load_libraries = lambda: None\n"
        "from flywheel.train.program import main; sys.exit(main(['--standby']))"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True
    ) as child:
        yield child
        child.kill()


def test_waiting_trainer_takes_a_spec(tmp_path: Path, waiting: subprocess.Popen[str]):
    """What it says from then on is in the log of its training, and its code is the usual one."""
    (tmp_path / "spec.json").write_text('{"release": 1}')
    order = json.dumps({"spec": str(tmp_path / "spec.json"), "out": str(tmp_path)})
    told, _ = waiting.communicate(f"{order}\n", timeout=60)
    assert (told.split(), waiting.returncode) == (["loaded", "taken"], EXIT_BAD_SPEC)
    assert "not a training spec" in (tmp_path / "train.log").read_text()


def test_waiting_trainer_ends_with_its_launcher(waiting: subprocess.Popen[str]):
    """A launcher that is killed closes the pipe, and leaves no trainer behind."""
    told, _ = waiting.communicate("", timeout=60)
    assert (told.split(), waiting.returncode) == (["loaded"], 0)


@pytest.mark.parametrize("arguments", [[], ["spec.json"], ["spec.json", "--out", "x", "--standby"]])
def test_a_spec_comes_in_one_way(arguments: list[str]):
    """A spec with its folder, or neither."""
    with pytest.raises(SystemExit):
        main(arguments)
