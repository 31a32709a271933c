"""The recipe: fine-tune an adapter on the right answers, then, if asked, against replaced ones.

Read it from the top: check everything, plan, train stage by stage, export. What surrounds it
(arguments, signals, exit codes) is in ``program``; where it runs is a launcher's business.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_family import check_family_in
from flywheel.artifacts.base_folder import BaseModel, load_base
from flywheel.artifacts.dataset_rows import LabeledRow, PreferenceRow, ThumbedRow
from flywheel.errors import DataError, IntegrityError
from flywheel.ports.train_launcher import TrainResult, TrainSpec
from flywheel.quality.validation_split import split_rows
from flywheel.train.balance import balanced_rows
from flywheel.train.checkpoints import FOLDER, PREFERENCE_FOLDER, SUPERVISED
from flywheel.train.data_parallel import is_first_worker
from flywheel.train.export import export, finished, spec_digest
from flywheel.train.hardware import model_size, read_hardware, release_memory
from flywheel.train.memory import PlanMemory, memory_errors
from flywheel.train.plan import TrainPlan, make_plan, optimizer_steps, without_packing
from flywheel.train.preference import build_preference
from flywheel.train.rows import (
    PairRow,
    ThumbRow,
    TokenRow,
    preference_rows,
    tokenize_pairs,
    tokenize_rows,
    tokenize_thumbs,
    training_rows,
)
from flywheel.train.search import Search, TrialRunner, search_recipe
from flywheel.train.servable import serving_rank
from flywheel.train.stages import Finished, Stage, hand_over, handed_over, run_stage
from flywheel.train.summary import describe, measure
from flywheel.train.supervised import build_supervised, load_libraries
from flywheel.train.thumbs import build_thumbs
from flywheel.workload.answers import AnswerCodec
from flywheel.workload.tokenization import padding_token

__all__ = ["train"]


class _Numbered(LabeledRow):
    position: int


@dataclass(frozen=True)
class _Work:
    # Everything checked and read, before any time is spent on training.
    spec: TrainSpec
    out: Path
    base: BaseModel
    tokenizer: Any
    records: Sequence[LabeledRow]
    rows: Sequence[TokenRow]
    pairs: Sequence[PairRow]
    thumbs: Sequence[ThumbRow]
    plan: TrainPlan
    memory: PlanMemory
    search: Search | None = None
    repeated: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return spec_digest(self.spec)

    @property
    def chosen(self) -> TrainSpec:
        """The spec with the recipe that is followed."""
        if self.search is None:
            return self.spec
        return self.spec.model_copy(update={"recipe": self.search.recipe})

    @property
    def prefers(self) -> bool:
        """Whether there is a second stage."""
        recipe = self.spec.recipe.preference
        if recipe is None:
            return False
        if self.thumbs:
            return recipe.has_enough_thumbs([row.wanted for row in self.thumbs])
        return len(self.pairs) >= recipe.minimum_pairs

    @property
    def steps(self) -> tuple[int, int]:
        """Optimizer steps of both stages."""
        recipe = self.chosen.recipe
        first = optimizer_steps(len(self.rows), batch=recipe.batch_size, epochs=recipe.epochs)
        if recipe.preference is None or not self.prefers:
            return first, 0
        second = recipe.preference
        rows = len(self.thumbs or self.pairs)
        return first, optimizer_steps(rows, batch=second.batch_size, epochs=second.epochs)


def train(spec: TrainSpec, out: Path) -> TrainResult | None:
    """Train the adapter of ``spec`` into ``out``, going on where an earlier try was cut off.

    Returns None in a worker that is not the first one.
    """
    done = finished(spec, out)
    if done is not None:
        return done
    with memory_errors():
        work = _balanced(_searched(_prepare(spec, out)))
        if work.prefers:
            return _in_two_stages(work)
        model, supervised = _supervise(work)
        return _export(work, model, supervised, None) if is_first_worker() else None


def _prepare(spec: TrainSpec, out: Path) -> _Work:
    for rank in (spec.recipe.rank, *(spec.recipe.search.ranks if spec.recipe.search else ())):
        serving_rank(rank)
    base = load_base(spec.base_folder, verify=True)
    if base.digest != spec.base_digest:
        raise IntegrityError(
            f"The base model in {spec.base_folder} is not the one of the spec.",
            next_step="build it again, or open a new attempt on the present base",
        )
    check_family_in(base.folder, base.name)
    codec = AnswerCodec(spec.workload, spec.surfaces)
    records = training_rows(spec.dataset_folder, spec.dataset_hash)
    corrections: list[PreferenceRow] = []
    given: list[ThumbedRow] = []
    if spec.recipe.preference is not None:
        corrections, given = preference_rows(spec.dataset_folder, spec.dataset_hash)

    load_libraries()
    from transformers import AutoTokenizer

    tokenizer, limit = AutoTokenizer.from_pretrained(base.folder), spec.recipe.maximum_tokens
    tokenizer.pad_token = padding_token(tokenizer) or tokenizer.pad_token
    rows = tokenize_rows(records, codec, tokenizer, limit=limit)
    longest = max(len(row.input_ids) for row in rows)
    pairs = tokenize_pairs(corrections, codec, tokenizer, limit=limit)
    thumbs = tokenize_thumbs(given, codec, tokenizer, limit=limit)
    return _Work(
        spec,
        out,
        base,
        tokenizer,
        records,
        rows,
        pairs,
        thumbs,
        make_plan(read_hardware(), model_size(base.folder), spec.recipe, longest_row=longest),
        PlanMemory(out, spec_digest(spec)),
    )


def _searched(work: _Work) -> _Work:
    search = work.spec.recipe.search
    if search is None:
        return work
    numbered = [_Numbered(**record, position=at) for at, record in enumerate(work.records)]
    train, validation = split_rows(numbered, search.validation, work.spec.seed)
    if not train or not validation:
        raise DataError(
            f"The {len(numbered)} training rows are too few for a search of the recipe.",
            next_step="review more items, raise training.search.validation, or remove "
            "training.search",
        )

    def build(
        spec: TrainSpec,
        folder: Path,
        rows: Sequence[TokenRow],
        plan: TrainPlan,
        validating: Sequence[TokenRow],
    ) -> tuple[Any, TrainPlan]:
        return build_supervised(
            spec, folder, work.base, work.tokenizer, rows, plan, validation=validating
        )

    rows = [work.rows[row["position"]] for row in train]
    if work.spec.recipe.balance == "auto":
        rows, _ = balanced_rows(rows, train)
    validating = [work.rows[row["position"]] for row in validation]
    trials = TrialRunner(work.spec, work.out, rows, validating, work.plan)
    found = search_recipe(trials, work.memory, build, spec_digest=work.digest)
    return replace(work, search=found)


def _balanced(work: _Work) -> _Work:
    if work.spec.recipe.balance == "off":
        return work
    rows, repeated = balanced_rows(work.rows, work.records)
    return replace(work, rows=rows, repeated=repeated)


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
            work.chosen, work.out / FOLDER, work.base, work.tokenizer, work.rows, plan
        )

    stage = Stage("sft", work.out, FOLDER, steps_before=0, steps_of_all=sum(work.steps))
    return run_stage(stage, work.plan, work.memory, build)


def _prefer(work: _Work, start: Path) -> tuple[Any, Finished]:
    recipe = work.spec.recipe.preference
    assert recipe is not None

    def build(plan: TrainPlan) -> tuple[Any, TrainPlan]:
        place = (work.spec, work.out / PREFERENCE_FOLDER, work.base, work.tokenizer)
        if work.thumbs:
            return build_thumbs(*place, work.thumbs, plan, start=start)
        return build_preference(*place, work.pairs, plan, start=start)

    sizes = work.spec.recipe.model_copy(update={"batch_size": recipe.batch_size})
    longest = max(row.tokens for row in (work.thumbs or work.pairs))
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
        metrics=measure(work.rows, work.thumbs or work.pairs, supervised, preference, work.search),
        rank=work.chosen.recipe.rank,
        resumed_from_step=supervised.resumed_from_step if resumed is None else resumed,
        training=describe(work.spec.recipe, work.thumbs or work.pairs, supervised, preference)
        | ({"search": work.search.to_facts()} if work.search else {})
        | ({"rows repeated by label": dict(work.repeated)} if work.repeated else {}),
    )
