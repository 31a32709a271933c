"""Second stage from thumbs: Kahneman-Tversky optimization of the adapter (KTO, Ethayarajh 2024).

As with pairs, it starts from the supervised adapter, of which a frozen copy is the reference.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import OutOfMemoryError
from flywheel.ports.train_launcher import TrainSpec
from flywheel.train.plan import TrainPlan, optimizer_steps
from flywheel.train.preference import keep_learnt, load_learnt, token_trainer
from flywheel.train.rows import ThumbRow
from flywheel.train.supervised import common_arguments
from flywheel.workload.model import PreferenceRecipe

__all__ = ["build_thumbs", "in_batches", "thumb_weights"]


def build_thumbs(
    spec: TrainSpec,
    folder: Path,
    base: BaseModel,
    tokenizer: Any,
    rows: Sequence[ThumbRow],
    plan: TrainPlan,
    *,
    start: Path,
) -> tuple[Any, TrainPlan]:
    """Build the trainer of the adapter in ``start``, and return it with its plan.

    Raises:
        OutOfMemoryError: two rows at a time are too many, or more than a batch has.
    """
    recipe = spec.recipe.preference or PreferenceRecipe()
    if plan.micro_batch < 2:  # noqa: PLR2004 - a row and another one
        raise OutOfMemoryError(
            "KTO compares an answer with another one of its batch: it needs two rows at a time.",
            next_step="raise training.preference.batch_size above 1, lower training.maximum_tokens, or "
            "use a device with more memory",
        )
    from datasets import Dataset
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    model, learnt = load_learnt(base, plan, start)
    ordered = in_batches(rows, plan.micro_batch, spec.seed)
    wanted, unwanted = thumb_weights(rows)
    trainer = token_trainer(KTOTrainer)(
        model=model,
        args=KTOConfig(
            **common_arguments(
                spec,
                folder,
                plan,
                steps=optimizer_steps(len(rows), batch=recipe.batch_size, epochs=recipe.epochs),
                epochs=recipe.epochs,
                learning_rate=recipe.learning_rate,
            ),
            beta=recipe.beta,
            desirable_weight=wanted,
            undesirable_weight=unwanted,
            # An answer is compared with its neighbor's, which a batch holds.
            train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_dict(
            {
                "prompt_ids": [row.prompt_ids for row, _ in ordered],
                "completion_ids": [row.completion_ids for row, _ in ordered],
                "KL_completion_ids": [other.completion_ids for _, other in ordered],
                "label": [row.wanted for row, _ in ordered],
            }
        ),
        processing_class=tokenizer,
    )
    keep_learnt(trainer, learnt)
    return trainer, plan


def in_batches(rows: Sequence[ThumbRow], size: int, seed: int) -> list[tuple[ThumbRow, ThumbRow]]:
    """Return the rows in a random order, each with the one whose answer its prompt is tried with.

    The answers of a batch are rotated by one, as TRL does it. A last batch of a single row would be
    compared with itself: it takes the first answer of all.
    """
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - reproducible by seed, no secret
    paired = []
    for start in range(0, len(shuffled), size):
        batch = shuffled[start : start + size]
        others = [batch[-1], *batch[:-1]] if len(batch) > 1 else [shuffled[0]]
        paired += list(zip(batch, others, strict=True))
    return paired


def thumb_weights(rows: Sequence[ThumbRow]) -> tuple[float, float]:
    """Return the weights of wanted and unwanted answers that make both sides count alike.

    Source: Ethayarajh et al. (2024), KTO: Model alignment as prospect theoretic optimization, ICML,
    equation 8: the ratio of weights times numbers is between 1 and 4/3.
    """
    up = sum(row.wanted for row in rows)
    down = len(rows) - up
    if not up or not down:
        return 1.0, 1.0
    return (down / up, 1.0) if up < down else (1.0, up / down)
