"""The recipe: fine-tune an adapter on the right answers, then, if asked, prefer them to replaced ones.

Read it from the top: check everything, plan, train, export. What surrounds it (arguments, signals,
exit codes) is in ``program``; where it runs is a launcher's business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.answers import AnswerCodec
from flywheel.base_folder import BaseModel, load_base
from flywheel.errors import IntegrityError
from flywheel.ports.train_launcher import TrainResult, TrainSpec
from flywheel.train.checkpoints import FOLDER
from flywheel.train.export import export, finished, spec_digest
from flywheel.train.hardware import model_size, read_hardware
from flywheel.train.memory import PlanMemory, memory_errors
from flywheel.train.plan import TrainPlan, make_plan
from flywheel.train.rows import TokenRow, read_rows, tokenize_rows
from flywheel.train.servable import serving_rank
from flywheel.train.stages import Finished, Stage, run_stage
from flywheel.train.supervised import build_supervised

__all__ = ["train"]


@dataclass(frozen=True)
class _Work:
    # Everything checked and read, before any time is spent on training.
    spec: TrainSpec
    out: Path
    base: BaseModel
    tokenizer: Any
    rows: Sequence[TokenRow]
    plan: TrainPlan
    memory: PlanMemory


def train(spec: TrainSpec, out: Path) -> TrainResult:
    """Train the adapter of ``spec`` into ``out``, going on where an earlier try was cut off."""
    done = finished(spec, out)
    if done is not None:
        return done
    with memory_errors():
        work = _prepare(spec, out)
        model, supervised = _supervise(work)
        return _export(work, model, supervised)


def _prepare(spec: TrainSpec, out: Path) -> _Work:
    serving_rank(spec.recipe.rank)
    base = load_base(spec.base_folder, verify=True)
    if base.digest != spec.base_digest:
        raise IntegrityError(
            f"The base model in {spec.base_folder} is not the one of the spec.",
            next_step="build it again, or open a new attempt on the present base",
        )
    records = read_rows(spec.dataset_folder, spec.dataset_hash)
    codec = AnswerCodec(spec.workload, spec.surfaces)

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    rows = tokenize_rows(records, codec, tokenizer, limit=spec.recipe.maximum_tokens)
    longest = max(len(row.input_ids) for row in rows)
    return _Work(
        spec,
        out,
        base,
        tokenizer,
        rows,
        make_plan(read_hardware(), model_size(base.folder), spec.recipe, longest_row=longest),
        PlanMemory(out, spec_digest(spec)),
    )


def _supervise(work: _Work) -> tuple[Any, Finished]:
    spec = work.spec
    steps = -(-len(work.rows) // spec.recipe.batch_size) * spec.recipe.epochs

    def build(plan: TrainPlan) -> tuple[Any, TrainPlan]:
        return build_supervised(spec, work.out / FOLDER, work.base, work.tokenizer, work.rows, plan)

    return run_stage(Stage("sft", work.out, FOLDER, steps, 0, steps), work.plan, work.memory, build)


def _export(work: _Work, model: Any, supervised: Finished) -> TrainResult:
    metrics = {
        "loss": supervised.loss,
        "final_loss": supervised.final_loss,
        "rows": float(len(work.rows)),
        "tokens": float(sum(len(row.input_ids) for row in work.rows)),
        "steps": float(supervised.steps),
        "trained_parameters": float(supervised.trained_parameters),
        "preparation_seconds": supervised.preparation_seconds,
        "training_seconds": supervised.seconds,
    }
    return export(
        work.spec,
        work.out,
        model,
        work.tokenizer,
        metrics=metrics,
        resumed_from_step=supervised.resumed_from_step,
        training={"sft": {"plan": supervised.plan, "plan_changes": supervised.plan_changes}},
    )
