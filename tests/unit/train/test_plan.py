"""The plan of a training: one table from machine, model and recipe to what is done."""

from dataclasses import replace

import pytest

from flywheel.train.plan import Hardware, ModelSize, make_plan, smaller, without_packing
from flywheel.workload.model import TrainingRecipe

GIB = 1024**3
CPU = Hardware("cpu", 16 * GIB)
HOPPER = Hardware("cuda", 80 * GIB, flash_attention=True, name="H100")
NO_FLASH = replace(HOPPER, flash_attention=False)
TURING = Hardware("cuda", 15 * GIB, bfloat16=False, name="T4")
SMALL_CARD = Hardware("cuda", 12 * GIB, flash_attention=True)
TINY = ModelSize(700_000, hidden=128, layers=2, vocabulary=2_000, precision="float32")
SMOLLM = ModelSize(135_000_000, hidden=576, layers=30, vocabulary=49_152, precision="bfloat16")
ONE = ModelSize(1_200_000_000, hidden=2048, layers=22, vocabulary=32_000, precision="bfloat16")
SEVEN = ModelSize(7_000_000_000, hidden=4096, layers=32, vocabulary=32_000, precision="bfloat16")


@pytest.mark.parametrize(
    ("hardware", "model", "recipe", "expected"),
    [
        (CPU, TINY, {}, ("cpu", "float32", "nf4", "sdpa", False, False)),
        (CPU, SMOLLM, {}, ("cpu", "bfloat16", "nf4", "sdpa", False, False)),
        (CPU, SMOLLM, {"quantization": "none"}, ("cpu", "bfloat16", "none", "sdpa", False, False)),
        (HOPPER, TINY, {}, ("cuda", "float32", "nf4", "sdpa", False, False)),
        (
            HOPPER,
            SMOLLM,
            {},
            ("cuda", "bfloat16", "nf4-double", "flash_attention_2", True, False),
        ),
        (
            HOPPER,
            SMOLLM,
            {"packing": "off"},
            ("cuda", "bfloat16", "nf4-double", "flash_attention_2", False, False),
        ),
        (NO_FLASH, SMOLLM, {}, ("cuda", "bfloat16", "nf4-double", "sdpa", False, False)),
        (TURING, SMOLLM, {}, ("cuda", "float32", "nf4-double", "sdpa", False, False)),
        (HOPPER, SEVEN, {}, ("cuda", "bfloat16", "nf4-double", "flash_attention_2", True, False)),
        (
            SMALL_CARD,
            SEVEN,
            {},
            ("cuda", "bfloat16", "nf4-double", "flash_attention_2", True, True),
        ),
        (
            SMALL_CARD,
            SEVEN,
            {"checkpointing": "off"},
            ("cuda", "bfloat16", "nf4-double", "flash_attention_2", True, False),
        ),
        (CPU, TINY, {"checkpointing": "on"}, ("cpu", "float32", "nf4", "sdpa", False, True)),
    ],
)
def test_plan_follows_from_machine_model_and_recipe(
    hardware: Hardware, model: ModelSize, recipe: dict, expected: tuple
):
    """Device, precision, quantization, attention, packing and checkpointing, each with a reason."""
    plan = make_plan(hardware, model, TrainingRecipe(batch_size=16, **recipe), longest_row=256)
    found = (plan.device, plan.dtype, plan.quantization, plan.attention, plan.packing)
    assert (*found, plan.checkpointing) == expected
    assert (plan.micro_batch, plan.accumulation, plan.batch) == (16, 1, 16)
    assert set(plan.reasons) >= {"device", "packing", "checkpointing", "quantization"}
    assert all(plan.reasons.values())


def test_longer_rows_ask_for_checkpointing():
    """The same model and machine need it once the rows are long enough."""
    recipe = TrainingRecipe(batch_size=16, maximum_tokens=8192)
    assert not make_plan(HOPPER, SEVEN, recipe, longest_row=512).checkpointing
    assert make_plan(HOPPER, SEVEN, recipe, longest_row=8192).checkpointing


@pytest.mark.parametrize(
    ("batch", "micro_batches"), [(16, [8, 4, 2, 1]), (12, [6, 3, 1]), (7, [1]), (1, [])]
)
def test_smaller_plans_take_the_same_steps(batch: int, micro_batches: list[int]):
    """The micro-batch shrinks to one row at the same batch, then activations are computed again."""
    plan = make_plan(CPU, TINY, TrainingRecipe(batch_size=batch), longest_row=64)
    found = []
    while (less := smaller(plan)) is not None:
        assert less.batch == batch
        assert (less.checkpointing, less.micro_batch) != (plan.checkpointing, plan.micro_batch)
        if not less.checkpointing:
            found.append(less.micro_batch)
        plan = less
    assert found == micro_batches
    assert plan.checkpointing
    assert plan.micro_batch == 1


def test_packing_given_up_says_why():
    """A plan without packing differs in nothing else."""
    plan = make_plan(HOPPER, SMOLLM, TrainingRecipe(), longest_row=64)
    without = without_packing(plan, "a kernel that mixes rows")
    assert without.to_facts() == {
        **plan.to_facts(),
        "packing": False,
        "reasons": {**plan.reasons, "packing": "a kernel that mixes rows"},
    }


def test_workers_divide_memory_and_keep_the_batch():
    """A worker holds its share of the rows, and never fewer than one."""
    recipe = TrainingRecipe(batch_size=16, workers=4)
    plan = make_plan(CPU, TINY, recipe, longest_row=64)
    assert (plan.micro_batch, plan.batch, plan.workers) == (16, 16, 4)
    assert plan.to_facts()["workers"] == 4
    seen = []
    while (plan := smaller(plan)) is not None:
        seen.append((plan.micro_batch, plan.batch, plan.checkpointing))
    assert seen == [(8, 16, False), (4, 16, False), (4, 16, True)]


@pytest.mark.parametrize(
    ("hardware", "model", "recipe", "expected"),
    [
        (CPU, TINY, {}, True),
        (CPU, SMOLLM, {}, True),
        (CPU, ONE, {}, False),
        (CPU, SEVEN, {}, False),
        (CPU, TINY, {"quantization": "none"}, False),
        (HOPPER, SMOLLM, {}, False),
    ],
)
def test_a_cpu_keeps_dequantized_weights_where_they_fit(hardware, model, recipe, expected):
    """A GPU dequantizes within its kernels; what is no small share of the memory stays in four bits."""
    plan = make_plan(hardware, model, TrainingRecipe(batch_size=4, **recipe), longest_row=64)
    assert plan.dequantized is expected
    assert ("dequantized" in plan.reasons) is (hardware is CPU and not recipe)


def test_a_smaller_plan_keeps_no_dequantized_weights():
    """They are what can be done without first, and the last that is left to do without."""
    plan = make_plan(CPU, TINY, TrainingRecipe(batch_size=4), longest_row=64)
    assert not smaller(plan).dequantized
    recipe = TrainingRecipe(batch_size=1, checkpointing="on")
    plan = make_plan(CPU, TINY, recipe, longest_row=64)
    assert (smaller(plan).dequantized, smaller(smaller(plan))) == (False, None)
