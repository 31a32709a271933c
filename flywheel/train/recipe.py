"""The recipe: fine-tune an adapter on the right answers, then, if asked, against replaced ones.

Read it from the top: check everything, plan, train stage by stage, export. What surrounds it
(arguments, signals, exit codes) is in ``program``; where it runs is a launcher's business.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_family import check_family_in
from flywheel.artifacts.base_folder import BaseModel, load_base
from flywheel.errors import IntegrityError
from flywheel.ports.train_launcher import TrainResult, TrainSpec
from flywheel.train.checkpoints import FOLDER, PREFERENCE_FOLDER, SUPERVISED
from flywheel.train.export import export, finished, spec_digest
from flywheel.train.hardware import model_size, read_hardware, release_memory
from flywheel.train.memory import PlanMemory, memory_errors
from flywheel.train.plan import TrainPlan, make_plan, without_packing
from flywheel.train.preference import build_preference
from flywheel.train.rows import PairRow, TokenRow, read_rows, tokenize_pairs, tokenize_rows
from flywheel.train.servable import serving_rank
from flywheel.train.stages import Finished, Stage, hand_over, handed_over, run_stage
from flywheel.train.summary import describe, measure
from flywheel.train.supervised import build_supervised
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.tokenization import padding_token

__all__ = ["train"]


@dataclass(frozen=True)
class _Work:
    # Everything checked and read, before any time is spent on training.
    spec: TrainSpec
    out: Path
    base: BaseModel
    tokenizer: Any
    rows: Sequence[TokenRow]
    pairs: Sequence[PairRow]
    plan: TrainPlan
    memory: PlanMemory

    @property
    def digest(self) -> str:
        return spec_digest(self.spec)

    @property
    def prefers(self) -> bool:
        """Whether there is a second stage."""
        recipe = self.spec.recipe.preference
        return recipe is not None and len(self.pairs) >= recipe.minimum_pairs

    @property
    def steps(self) -> tuple[int, int]:
        """Optimizer steps of both stages."""
        recipe = self.spec.recipe
        first = -(-len(self.rows) // recipe.batch_size) * recipe.epochs
        if recipe.preference is None or not self.prefers:
            return first, 0
        second = recipe.preference
        return first, -(-len(self.pairs) // second.batch_size) * second.epochs


def train(spec: TrainSpec, out: Path) -> TrainResult:
    """Train the adapter of ``spec`` into ``out``, going on where an earlier try was cut off."""
    done = finished(spec, out)
    if done is not None:
        return done
    with memory_errors():
        work = _prepare(spec, out)
        if work.prefers:
            return _in_two_stages(work)
        model, supervised = _supervise(work)
        return _export(work, model, supervised, None)


def _prepare(spec: TrainSpec, out: Path) -> _Work:
    serving_rank(spec.recipe.rank)
    base = load_base(spec.base_folder, verify=True)
    if base.digest != spec.base_digest:
        raise IntegrityError(
            f"The base model in {spec.base_folder} is not the one of the spec.",
            next_step="build it again, or open a new attempt on the present base",
        )
    check_family_in(base.folder, base.name)
    codec = AnswerCodec(spec.workload, spec.surfaces)
    records = read_rows(spec.dataset_folder, spec.dataset_hash)
    corrections = []
    if spec.recipe.preference is not None:
        corrections = read_rows(spec.dataset_folder, spec.dataset_hash, "preference")

    from transformers import AutoTokenizer

    tokenizer, limit = AutoTokenizer.from_pretrained(base.folder), spec.recipe.maximum_tokens
    tokenizer.pad_token = padding_token(tokenizer) or tokenizer.pad_token
    rows = tokenize_rows(records, codec, tokenizer, limit=limit)
    longest = max(len(row.input_ids) for row in rows)
    return _Work(
        spec,
        out,
        base,
        tokenizer,
        rows,
        tokenize_pairs(corrections, codec, tokenizer, limit=limit),
        make_plan(read_hardware(), model_size(base.folder), spec.recipe, longest_row=longest),
        PlanMemory(out, spec_digest(spec)),
    )


def _in_two_stages(work: _Work) -> TrainResult:
    folder = work.out / SUPERVISED
    supervised = handed_over(folder, work.digest)
    if supervised is None:
        model, supervised = _supervise(work)
        hand_over(folder, model, supervised, work.digest)
        shutil.rmtree(work.out / FOLDER, ignore_errors=True)
        del model
        release_memory()
        resumed = supervised.resumed_from_step
    else:
        resumed = supervised.steps
    model, preference = _prefer(work, folder)
    if preference.resumed_from_step:
        resumed = supervised.steps + preference.resumed_from_step
    result = _export(work, model, supervised, preference, resumed=resumed)
    for left in (folder, work.out / PREFERENCE_FOLDER):
        shutil.rmtree(left, ignore_errors=True)
    return result


def _supervise(work: _Work) -> tuple[Any, Finished]:
    def build(plan: TrainPlan) -> tuple[Any, TrainPlan]:
        return build_supervised(
            work.spec, work.out / FOLDER, work.base, work.tokenizer, work.rows, plan
        )

    stage = Stage("sft", work.out, FOLDER, steps_before=0, steps_of_all=sum(work.steps))
    return run_stage(stage, work.plan, work.memory, build)


def _prefer(work: _Work, start: Path) -> tuple[Any, Finished]:
    recipe = work.spec.recipe.preference
    assert recipe is not None

    def build(plan: TrainPlan) -> tuple[Any, TrainPlan]:
        return build_preference(
            work.spec,
            work.out / PREFERENCE_FOLDER,
            work.base,
            work.tokenizer,
            work.pairs,
            plan,
            start=start,
        )

    sizes = work.spec.recipe.model_copy(update={"batch_size": recipe.batch_size})
    longest = max(row.tokens for row in work.pairs)
    plan = make_plan(read_hardware(), model_size(work.base.folder), sizes, longest_row=longest)
    plan = without_packing(plan, "TRL trains on pairs in padded batches only")
    first, second = work.steps
    stage = Stage(
        "preference", work.out, PREFERENCE_FOLDER, steps_before=first, steps_of_all=first + second
    )
    return run_stage(stage, plan, work.memory, build)


def _export(
    work: _Work,
    model: Any,
    supervised: Finished,
    preference: Finished | None,
    *,
    resumed: int | None = None,
) -> TrainResult:
    return export(
        work.spec,
        work.out,
        model,
        work.tokenizer,
        metrics=measure(work.rows, work.pairs, supervised, preference),
        resumed_from_step=supervised.resumed_from_step if resumed is None else resumed,
        training=describe(work.spec.recipe, work.pairs, supervised, preference),
    )
