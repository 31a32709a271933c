"""Second stage: direct preference optimization of the adapter (DPO, Rafailov 2023).

It starts from the supervised adapter, which is the reference as well: a frozen copy of the adapter
beside it, not a second model. Texts are tokenized here, as they will be served.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import BaseModel
from flywheel.ports.train_launcher import TrainSpec
from flywheel.train.dequantized import keep_dequantized
from flywheel.train.plan import TrainPlan, optimizer_steps
from flywheel.train.rows import PairRow
from flywheel.train.servable import check_servable
from flywheel.train.supervised import common_arguments, quantization_of
from flywheel.workload.model import PreferenceRecipe

__all__ = ["build_preference", "keep_learnt", "load_learnt", "token_trainer"]


def build_preference(
    spec: TrainSpec,
    folder: Path,
    base: BaseModel,
    tokenizer: Any,
    rows: Sequence[PairRow],
    plan: TrainPlan,
    *,
    start: Path,
) -> tuple[Any, TrainPlan]:
    """Build the trainer of the adapter in ``start``, and return it with its plan."""
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    recipe = spec.recipe.preference or PreferenceRecipe()
    model, learnt = load_learnt(base, plan, start)
    trainer = token_trainer(DPOTrainer)(
        model=model,
        args=DPOConfig(
            **common_arguments(
                spec,
                folder,
                plan,
                steps=optimizer_steps(len(rows), batch=recipe.batch_size, epochs=recipe.epochs),
                epochs=recipe.epochs,
                learning_rate=recipe.learning_rate,
            ),
            beta=recipe.beta,
        ),
        train_dataset=Dataset.from_dict(
            {
                "prompt_ids": [row.prompt_ids for row in rows],
                "chosen_ids": [row.chosen_ids for row in rows],
                "rejected_ids": [row.rejected_ids for row in rows],
            }
        ),
        processing_class=tokenizer,
    )
    keep_learnt(trainer, learnt)
    return trainer, plan


def load_learnt(base: BaseModel, plan: TrainPlan, start: Path) -> tuple[Any, dict[str, Any]]:
    """Load the base with the adapter in ``start``; return it with the adapter's weights in float32."""
    import torch
    from peft import PeftModel
    from trl.trainer.utils import create_model_from_path

    loaded = create_model_from_path(
        str(base.folder),
        dtype=getattr(torch, plan.dtype),
        attn_implementation=plan.attention,
        quantization_config=quantization_of(plan),
    )
    model = PeftModel.from_pretrained(loaded, start, is_trainable=True)
    learnt = {
        name: weight.detach().float().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }
    check_servable(model.peft_config["default"], learnt)
    if plan.dequantized:
        keep_dequantized(model)
    return model, learnt


def keep_learnt(trainer: Any, learnt: dict[str, Any]) -> None:
    """Let the adapter and its frozen copy begin with what was learnt.

    TRL rounds the adapter of a quantized base to bfloat16.
    """
    weights = dict(trainer.model.named_parameters())
    for name, value in learnt.items():
        weights[name].data = value
        copy = weights[name.replace(".default.", ".ref.")]
        copy.data = value.clone()
        copy.requires_grad_(requires_grad=False)


def token_trainer(library_trainer: Any) -> Any:
    """Return a trainer of TRL's that takes tokenized rows and counts what went through the model.

    Padding is left out of ``tokens_seen``, as `completion_trainer` leaves it out.
    """

    class TokenTrainer(library_trainer):  # type: ignore[misc]
        tokens_seen: Any = 0

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # TRL would tokenize prompt and answer as one text

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,  # noqa: FBT001, FBT002 - the library's signature
            num_items_in_batch: Any = None,
        ) -> Any:
            self.tokens_seen += inputs["attention_mask"].sum()
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    return TokenTrainer
