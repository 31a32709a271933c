"""A training that runs out of memory goes on with fewer rows at once, to the same adapter.

The shortage is provoked: a hook in front of the model raises what CUDA raises when more rows come
than it allows. What answers it is the real thing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from flywheel.errors import OutOfMemoryError
from flywheel.ports.train_launcher import EXIT_OUT_OF_MEMORY, TrainResult, TrainSpec
from flywheel.train.program import main
from flywheel.train.reporting import read_progress
from flywheel.workload.model import PreferenceRecipe
from tests.fakes.micro_base import training_spec

# Sums over parts instead of a whole: float32 rounding through 24 steps, measured below 3e-7.
TOLERANCE = 1e-5

pytestmark = [
    pytest.mark.slow,
    # Of the libraries, about each other's names.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@contextmanager
def room_for(rows: int, *, after: int = 0) -> Iterator[list[int]]:
    """Let the model take ``rows`` rows at once from its forward number ``after`` on."""
    import torch

    seen: list[int] = []

    def hook(module: torch.nn.Module, arguments: tuple) -> None:
        if isinstance(module, torch.nn.Embedding):  # the first layer
            seen.append(arguments[0].shape[0])
            if seen[-1] > rows and len(seen) > after:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    handle = torch.nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def spec_of(folder: Path, **recipe: object) -> TrainSpec:
    # 40 rows in batches of 12: the last batch of an epoch is a third of one.
    settings = {"rows": 40, "epochs": 6, "batch_size": 12, "checkpoint_steps": 6, **recipe}
    return training_spec(folder, **settings)


def train(spec: TrainSpec, out: Path) -> TrainResult:
    from flywheel.train.recipe import train

    out.mkdir(exist_ok=True)
    return train(spec, out)


def weights(out: Path, result: TrainResult) -> dict[str, np.ndarray]:
    return load_file(out / result.adapter / "adapter_model.safetensors")


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=TOLERANCE, err_msg=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """Train once with all the memory there is."""
    folder = tmp_path_factory.mktemp("undisturbed")
    out = folder / "out"
    return out, train(spec_of(folder / "dataset"), out)


def test_shortage_in_the_middle_leads_to_the_same_adapter(
    tmp_path: Path, undisturbed: tuple[Path, TrainResult]
):
    """Memory that runs short after 10 steps costs the steps since the checkpoint and nothing else."""
    whole_out, whole = undisturbed
    out = tmp_path / "out"
    with room_for(3, after=10) as seen:
        result = train(spec_of(tmp_path / "dataset"), out)
    done = result.details["training"]["sft"]
    assert [c["micro_batch"] for c in done["plan_changes"]] == [6, 3]
    assert "out of memory" in done["plan_changes"][0]["reason"]
    assert (done["plan"]["micro_batch"], done["plan"]["accumulation"]) == (3, 4)
    assert done["plan"]["batch"] == 12
    assert result.resumed_from_step == 6
    assert max(seen[12:]) == 3
    assert result.metrics["steps"] == whole.metrics["steps"] == 24
    assert read_progress(out)[-1].step == 24
    assert_same(weights(out, result), weights(whole_out, whole))


def test_smaller_micro_batch_from_the_start_is_the_same_training(
    tmp_path: Path, undisturbed: tuple[Path, TrainResult]
):
    """A machine with little memory ends with the adapter of a large one."""
    whole_out, whole = undisturbed
    out = tmp_path / "out"
    with room_for(3):
        result = train(spec_of(tmp_path / "dataset"), out)
    assert result.resumed_from_step == 0
    assert_same(weights(out, result), weights(whole_out, whole))


def test_checkpointing_is_the_same_training(tmp_path: Path, undisturbed: tuple[Path, TrainResult]):
    """Activations that are computed again are those that would have been kept."""
    import torch
    from transformers.models.llama.modeling_llama import LlamaMLP

    whole_out, whole = undisturbed
    out, passes = tmp_path / "out", []

    def hook(module: torch.nn.Module, _: tuple) -> None:
        if isinstance(module, LlamaMLP):
            passes.append(module)

    handle = torch.nn.modules.module.register_module_forward_pre_hook(hook)
    try:
        result = train(spec_of(tmp_path / "dataset", checkpointing="on"), out)
    finally:
        handle.remove()
    assert result.details["training"]["sft"]["plan"]["checkpointing"]
    assert len(passes) == 24 * 2 * len(set(map(id, passes)))  # forwards, and once more each
    assert_same(weights(out, result), weights(whole_out, whole))


def test_shortage_among_pairs_leads_to_the_same_adapter(tmp_path: Path):
    """The second stage has a micro-batch of its own: a pair is two texts."""
    recipe = PreferenceRecipe(epochs=2, batch_size=8, learning_rate=1e-3, minimum_pairs=8)
    spec = training_spec(tmp_path / "dataset", rows=8, pairs=16, epochs=1, preference=recipe)
    whole = train(spec, tmp_path / "whole")
    with room_for(8):
        short = train(spec, tmp_path / "short")
    done = short.details["training"]
    assert done["sft"]["plan_changes"] == []
    assert [change["micro_batch"] for change in done["preference"]["plan_changes"]] == [4]
    assert done["preference"]["plan"]["batch"] == 8
    assert short.metrics["preference_steps"] == whole.metrics["preference_steps"] == 4
    assert_same(weights(tmp_path / "short", short), weights(tmp_path / "whole", whole))


def test_nothing_left_to_give_up_ends_with_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """One row at a time with checkpointing is the end, said by the exit code."""
    spec = spec_of(tmp_path / "dataset", batch_size=2)
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    with room_for(0):
        code = main([str(tmp_path / "spec.json"), "--out", str(tmp_path / "out")])
    assert code == EXIT_OUT_OF_MEMORY
    assert OutOfMemoryError.__name__ in capsys.readouterr().err
