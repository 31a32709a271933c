"""`TrainingRecipe` with `PreferenceRecipe` and `RecipeSearch`: the section `training` of a workload file."""

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flywheel.workload.sections import Share, Strict

__all__ = ["PreferenceRecipe", "RecipeSearch", "TrainingRecipe"]


class PreferenceRecipe(Strict):
    """How an adapter learns from the answers that people replaced, after it learned the right ones.

    The first five say how it is trained, the others which corrections make a pair.
    """

    method: Literal["dpo", "kto", "auto"] = Field(
        default="dpo",
        description="dpo: pairs of a replaced answer and its correction; kto: answers with a thumb; "
        "auto: pairs where there are enough of them, else thumbs",
    )
    epochs: int = Field(default=1, ge=1, le=20, description="passes over the pairs")
    learning_rate: float = Field(default=5e-5, gt=0, lt=1, description="of the preference stage")
    batch_size: int = Field(default=16, ge=1, description="pairs per step")
    beta: float = Field(default=0.1, gt=0, le=10, description="how close it stays to its start")
    minimum_pairs: int = Field(default=20, ge=1, description="with fewer the stage is left out")
    minimum_thumbs: int = Field(
        default=20, ge=2, description="thumbs up, and as many down, below which KTO is left out"
    )
    minimum_fields: int = Field(default=1, ge=1, description="fields that must differ in a pair")
    minimum_characters: int = Field(
        default=2, ge=1, description="smaller edits of a free text are a matter of spelling"
    )
    length_bias: Share = Field(
        default=0.2, description="largest share by which one side is longer, over all pairs"
    )

    def has_enough_thumbs(self, wanted: Collection[bool]) -> bool:
        """Return whether there are as many wanted and unwanted answers as KTO needs of each."""
        up = sum(wanted)
        return min(up, len(wanted) - up) >= self.minimum_thumbs


class RecipeSearch(Strict):
    """How learning rate, rank and epochs are chosen: on a part of the training rows alone.

    Each of the rates with each of the ranks is tried for few epochs, the better ones for more
    (successive halving); the best one then shows when to stop. The golden set is never looked at.
    """

    budget: float = Field(
        default=3.0, gt=1, le=20, description="epochs of all trials, in trainings of full length"
    )
    validation: float = Field(
        default=0.15, ge=0.05, le=0.5, description="share of the training rows that validate"
    )
    learning_rates: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(3e-4, 1e-3, 3e-3), min_length=1, description="rates to try"
    )
    ranks: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        default=(8, 16), min_length=1, description="ranks to try; alpha keeps its ratio"
    )
    patience: int = Field(
        default=2, ge=1, description="epochs without a better validation loss before it stops"
    )


class TrainingRecipe(Strict):
    """How an adapter is trained; every value is logged with the run."""

    method: Literal["sft"] = Field(
        default="sft", description="supervised fine-tuning on prompt and completion"
    )
    epochs: int = Field(default=6, ge=1, le=100, description="passes over the training rows")
    learning_rate: float = Field(default=1e-3, gt=0, lt=1, description="of the supervised stage")
    batch_size: int = Field(default=16, ge=1, description="rows per step")
    rank: int = Field(default=16, ge=1, le=256, description="rank of the LoRA matrices")
    alpha: int = Field(default=32, ge=1, description="scale of the LoRA update: alpha / rank")
    dropout: Share = Field(default=0.0, description="dropout before the LoRA matrices")
    maximum_tokens: int = Field(
        default=256, ge=16, description="longest row, prompt and answer together"
    )
    checkpoint_steps: int = Field(
        default=50, ge=1, description="steps between two checkpoints, from which training resumes"
    )
    timeout_seconds: int = Field(
        default=6 * 3600, ge=1, description="seconds after which a training is stopped"
    )
    quantization: Literal["nf4", "none"] = Field(
        default="nf4", description="precision of the frozen base while an adapter is trained"
    )
    packing: Literal["auto", "off"] = Field(
        default="auto", description="put several short rows into one sequence"
    )
    workers: int = Field(
        default=1, ge=1, le=64, description="processes that share the training, one GPU each"
    )
    checkpointing: Literal["auto", "on", "off"] = Field(
        default="auto", description="compute activations again instead of keeping them"
    )
    balance: Literal["off", "auto"] = Field(
        default="off",
        description="auto: repeat rows of rare labels where labels are skewed, by the square root",
    )
    search: RecipeSearch | None = Field(
        default=None,
        description="choose learning rate, rank and epochs on a part of the training rows; left "
        "out: as written here",
    )
    preference: PreferenceRecipe | None = Field(
        default=None, description="learn from replaced answers too; left out: not at all"
    )

    @model_validator(mode="after")
    def _workers_share_one_stage(self) -> Self:
        if self.workers > 1 and (self.preference or self.search):
            msg = (
                "training.workers above 1 shares the supervised stage alone: remove "
                "training.preference and training.search, or set training.workers to 1"
            )
            raise ValueError(msg)
        return self
