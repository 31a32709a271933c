"""The first stage as a plan shapes it: packed rows, and a base whose scales are quantized again.

Rows packed into one line train as rows in lines of their own, or are not packed at all.

FlashAttention needs a GPU. Here the same batches go through torch's own attention, which isolates
the rows by a mask made from their positions; what is shown is that batches, loss and check are
right, not that a FlashAttention kernel is.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flywheel.train.plan import Hardware, ModelSize, TrainPlan, make_plan
from flywheel.train.recipe import train
from flywheel.train.rows import tokenize_rows, training_rows
from flywheel.train.supervised import build_supervised
from tests.fakes.micro_base import codec, micro_base, training_spec

TOLERANCE = 1e-4  # float32 rounding: other shapes, other orders of summation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def build(
    tmp_path: Path, *, packing: bool, micro_batch: int = 6, **changes: Any
) -> tuple[Any, TrainPlan]:
    from transformers import AutoTokenizer

    base = micro_base()
    spec = training_spec(tmp_path / "dataset", rows=30, epochs=3, batch_size=6)
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    records = training_rows(spec.dataset_folder, spec.dataset_hash)
    for number, record in enumerate(records):  # of many lengths, as real rows are
        record["input"] += " again" * (number % 5)
    rows = tokenize_rows(records, codec(), tokenizer, limit=256)
    size = ModelSize(100_000, hidden=64, layers=2, vocabulary=600, precision="float32")
    plan = make_plan(Hardware("cpu", 2**34), size, spec.recipe, longest_row=64)
    plan = replace(plan, packing=packing, micro_batch=micro_batch, accumulation=6 // micro_batch)
    plan = replace(plan, **changes)
    return build_supervised(spec, tmp_path / "out", base, tokenizer, rows, plan)


def test_libraries_are_loaded_ahead_of_the_tokenizer(tmp_path: Path, monkeypatch):
    """They are imported without PyTorch's compiler, which transformers alone would bring along."""

    class LoadedError(Exception):
        pass

    def stop() -> None:
        raise LoadedError

    monkeypatch.setattr("flywheel.train.recipe.load_libraries", stop)
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", None)
    with pytest.raises(LoadedError):
        train(training_spec(tmp_path / "dataset"), tmp_path / "out")


def trained(trainer: Any) -> dict[str, np.ndarray]:
    trainer.train()
    return {
        name: weight.detach().float().numpy()
        for name, weight in trainer.model.named_parameters()
        if weight.requires_grad
    }


@pytest.mark.parametrize("micro_batch", [6, 2])
def test_packed_rows_train_to_the_same_adapter(tmp_path: Path, micro_batch: int):
    """A line of several rows has the loss and the gradients of its rows, and as many steps."""
    alone, _ = build(tmp_path / "alone", packing=False)
    packed, plan = build(tmp_path / "packed", packing=True, micro_batch=micro_batch)
    assert plan.packing
    assert packed.padding_free
    expected, found = trained(alone), trained(packed)
    assert packed.state.global_step == alone.state.global_step == 15
    assert int(packed.tokens_seen) == int(alone.tokens_seen)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=TOLERANCE, err_msg=name)


def test_attention_that_mixes_rows_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An attention blind to where a row begins switches packing off, with the reason."""
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda *_: None)
    trainer, plan = build(tmp_path, packing=True)
    assert not plan.packing
    assert "see each other" in plan.reasons["packing"]
    assert not trainer.padding_free


def test_scales_are_quantized_again_where_the_plan_says_so(tmp_path: Path):
    """Double quantization reaches every linear layer, and what it leaves can be trained on."""
    trainer, _ = build(tmp_path, packing=False, quantization="nf4-double")
    states = [
        module.weight.quant_state
        for module in trainer.model.modules()
        if hasattr(getattr(module, "weight", None), "quant_state")
    ]
    assert states
    assert all(state.nested and state.quant_type == "nf4" for state in states)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]
