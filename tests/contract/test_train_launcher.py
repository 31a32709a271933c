"""The TrainLauncher port, on every adapter that this machine can start."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flywheel.artifacts.adapter_folder import MANIFEST, verify_adapter
from flywheel.artifacts.base_folder import tokenizer_digest
from flywheel.errors import ConfigurationError, DataError, IntegrityError, TrainingError
from flywheel.ports.train_launcher import TrainLauncher, TrainProgress, TrainResult, TrainSpec
from flywheel.train.launch.ray import RayTrainLauncher
from flywheel.train.launch.subprocess import SubprocessTrainLauncher
from tests.fakes.micro_base import training_spec


@pytest.fixture(
    scope="module",
    params=[
        "subprocess",
        pytest.param("ray", marks=[pytest.mark.services("ray"), pytest.mark.slow]),
    ],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Return where the trainer runs."""
    return str(request.param)


@pytest.fixture(scope="module")
def launcher(
    kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> TrainLauncher:
    """Return a launcher."""
    if kind == "subprocess":
        launcher = SubprocessTrainLauncher()
        launcher.prepare()  # the first training is by a trainer that waited, the others are not
        return launcher
    cluster = request.getfixturevalue("ray_cluster")
    return RayTrainLauncher(cluster, tmp_path_factory.mktemp("exchange").as_uri())


@pytest.fixture(scope="module")
def finished(
    launcher: TrainLauncher, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainSpec, Path, TrainResult, list]:
    """One training that went well: spec, output folder, result, progress."""
    out = tmp_path_factory.mktemp("finished")
    spec = training_spec(out / "dataset", checkpoint_steps=5)
    told: list[TrainProgress] = []
    result = launcher.run(spec, out, on_progress=told.append)
    return spec, out, result, told


def test_result_belongs_to_its_spec(finished: tuple):
    """Result and manifest name release, base, tokenizer and dataset, and every file's hash."""
    spec, out, result, _ = finished
    assert (result.status, result.release) == ("succeeded", spec.release)
    assert (result.base_digest, result.dataset_hash) == (spec.base_digest, spec.dataset_hash)
    adapter = out / result.adapter
    assert verify_adapter(adapter, base_digest=spec.base_digest) == result.manifest_digest
    manifest = json.loads((adapter / MANIFEST).read_text())
    assert manifest["tokenizer_digest"] == tokenizer_digest(spec.base_folder)
    assert manifest["serving"] == {"max_lora_rank": 8}
    assert result.metrics["rows"] == 24


def test_adapter_leaves_by_an_allow_list(finished: tuple):
    """Nothing pickled and no checkpoint is left behind."""
    _, out, result, _ = finished
    assert {path.name for path in (out / result.adapter).iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "manifest.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert not [path for path in out.rglob("*") if path.suffix in {".bin", ".pt", ".pth"}]


def test_progress_is_told_in_order(finished: tuple):
    """Steps rise to the last one; every line has a loss, a speed and the memory used."""
    told = finished[3]
    steps = [line.step for line in told]
    assert steps == sorted(set(steps))
    assert steps[-1] == told[-1].steps == 12
    assert all(line.loss > 0 and line.tokens_per_second > 0 for line in told)
    assert all(line.memory_bytes > 0 for line in told)


def test_finished_run_is_not_run_again(finished: tuple, launcher: TrainLauncher):
    """A second call returns the same result without training."""
    spec, out, result, _ = finished
    told: list[TrainProgress] = []
    assert launcher.run(spec, out, on_progress=told.append) == result
    assert told == []


def test_folder_of_another_spec_is_refused(finished: tuple, launcher: TrainLauncher):
    """A folder that holds another training's result is not taken for this one's."""
    spec, out, _, _ = finished
    other = spec.model_copy(update={"seed": 7})
    with pytest.raises(ConfigurationError, match="another spec"):
        launcher.run(other, out, on_progress=lambda _: None)


def test_changed_rows_are_bad_data(launcher: TrainLauncher, tmp_path: Path):
    """A snapshot that does not have its hash stops the run before any training."""
    spec = training_spec(tmp_path / "dataset")
    with (tmp_path / "dataset" / "train.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match="is not the one of the spec"):
        launcher.run(spec, tmp_path / "out", on_progress=lambda _: None)
    assert not (tmp_path / "out" / "result.json").exists()


def test_success_without_a_result_is_not_believed(
    launcher: TrainLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Exit code zero counts for nothing when no verified result is there."""
    if isinstance(launcher, RayTrainLauncher):
        launcher = replace(launcher, cluster=replace(launcher.cluster, python="/bin/true"))
    else:
        monkeypatch.setattr("sys.executable", "/bin/true")
    with pytest.raises(IntegrityError, match="no result"):
        launcher.run(training_spec(tmp_path / "d"), tmp_path / "out", on_progress=lambda _: None)


def test_run_that_takes_too_long_is_stopped(launcher: TrainLauncher, tmp_path: Path):
    """The recipe's time limit ends the child and says so."""
    spec = training_spec(tmp_path / "dataset", timeout_seconds=1)
    with pytest.raises(TrainingError, match="longer than 1 s"):
        launcher.run(spec, tmp_path / "out", on_progress=lambda _: None)
