"""Memory that runs short: fewer rows at once, the same steps, and an end when nothing is left."""

from pathlib import Path

import pytest

from flywheel.errors import OutOfMemoryError
from flywheel.train.memory import PLANS, PlanMemory, memory_errors, within_memory
from flywheel.train.plan import Hardware, ModelSize, TrainPlan, make_plan
from flywheel.workload.model import TrainingRecipe

TINY = ModelSize(700_000, hidden=128, layers=2, vocabulary=2_000, precision="float32")


def plan(batch: int = 8) -> TrainPlan:
    recipe = TrainingRecipe(batch_size=batch)
    return make_plan(Hardware("cpu", 2**34), TINY, recipe, longest_row=64)


def fits(rows: int):
    import torch

    def attempt(plan: TrainPlan) -> TrainPlan:
        if plan.micro_batch > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
        return plan

    return attempt


def test_the_first_plan_that_fits_is_used():
    """Each shortage halves the micro-batch and is told."""
    told = []
    found = within_memory(plan(), fits(2), lambda plan, why: told.append((plan.micro_batch, why)))
    assert (found.micro_batch, found.accumulation) == (2, 4)
    assert [rows for rows, _ in told] == [4, 2]
    assert told[0][1] == "CUDA out of memory. Tried to allocate 2 GiB"


def test_nothing_smaller_is_an_out_of_memory_error():
    """One row at a time, activations computed again, and still too much: a person must act."""
    told = []
    with pytest.raises(OutOfMemoryError, match="one row at a time"):
        within_memory(plan(), fits(0), lambda plan, _: told.append(plan))
    assert told[-1].checkpointing
    assert told[-1].micro_batch == 1


@pytest.mark.parametrize(
    "message",
    ["DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED when calling"],
)
def test_shortages_by_other_names_are_known(message: str):
    """An allocator and a library say it in their own words."""
    with pytest.raises(OutOfMemoryError), memory_errors():
        raise RuntimeError(message)


def test_other_errors_are_no_shortage():
    """A wrong shape is not answered by trying again."""

    def attempt(plan: TrainPlan) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        within_memory(plan(), attempt, lambda *_: pytest.fail("tried again"))


def test_what_was_learned_outlives_the_run(tmp_path: Path):
    """A later run of the same spec begins with the micro-batch that fitted; another spec does not."""
    memory = PlanMemory(tmp_path, "spec")
    within_memory(plan(), fits(2), lambda plan, why: memory.add("sft", plan, why))
    again = PlanMemory(tmp_path, "spec")
    assert again.apply("sft", plan()).micro_batch == 2
    assert again.apply("sft", plan()).batch == 8
    assert again.apply("preference", plan()) == plan()
    assert [change["micro_batch"] for change in again.changes("sft")] == [4, 2]
    assert PlanMemory(tmp_path, "other").apply("sft", plan()) == plan()


def test_a_torn_record_is_as_good_as_none(tmp_path: Path):
    """What cannot be read costs one shortage more, not the run."""
    (tmp_path / PLANS).write_text('{"spec_dig')
    assert PlanMemory(tmp_path, "spec").changes("sft") == []
