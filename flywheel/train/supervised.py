"""First stage: supervised fine-tuning of a LoRA adapter on an NF4 base (QLoRA, Dettmers 2023)."""

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import BaseModel
from flywheel.io.compiler import without_compiler
from flywheel.io.garbage import keep_existing
from flywheel.io.package_listing import one_package_listing
from flywheel.ports.train_launcher import TrainSpec
from flywheel.train.completion_trainer import completion_trainer
from flywheel.train.dequantized import keep_dequantized
from flywheel.train.packing import rows_are_isolated
from flywheel.train.plan import TrainPlan, optimizer_steps, without_packing
from flywheel.train.rows import TokenRow
from flywheel.train.servable import check_servable

__all__ = ["build_supervised", "common_arguments", "load_libraries", "quantization_of"]

_LIBRARIES = (
    "datasets",
    "peft",
    "transformers.models.auto.tokenization_auto",
    "trl.trainer.sft_trainer",
)


@functools.cache
def load_libraries() -> None:
    """Import the libraries of a training: ahead of its spec, or as it begins."""
    with without_compiler(), one_package_listing():
        for name in _LIBRARIES:
            importlib.import_module(name)
    keep_existing()


def build_supervised(
    spec: TrainSpec,
    folder: Path,
    base: BaseModel,
    tokenizer: Any,
    rows: Sequence[TokenRow],
    plan: TrainPlan,
    *,
    validation: Sequence[TokenRow] = (),
) -> tuple[Any, TrainPlan]:
    """Build the trainer, and return it with the plan that it follows after all.

    With ``validation`` rows it is a trial: evaluated after every epoch, without checkpoints.
    """
    trainer = _build(spec, folder, base, tokenizer, rows, plan, validation)
    if plan.packing and not rows_are_isolated(trainer, [row.input_ids for row in rows]):
        plan = without_packing(plan, "the attention let the rows of a line see each other")
        trainer = _build(spec, folder, base, tokenizer, rows, plan, validation)
    return trainer, plan


def common_arguments(
    spec: TrainSpec,
    folder: Path,
    plan: TrainPlan,
    *,
    steps: int,
    epochs: int,
    learning_rate: float,
) -> dict[str, Any]:
    """Return the arguments that the trainers of both stages share."""
    # All workers together: each takes its share of every batch.
    together: dict[str, Any] = {"ddp_find_unused_parameters": False} if plan.workers > 1 else {}
    if plan.workers > 1 and plan.device == "cpu":
        together["ddp_backend"] = "gloo"
    return together | {
        "output_dir": str(folder),
        "num_train_epochs": epochs,
        "per_device_train_batch_size": plan.micro_batch,
        "gradient_accumulation_steps": plan.accumulation,
        "learning_rate": learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, steps // 20),
        "weight_decay": 0.0,
        "max_length": None,  # lengths were checked: nothing is cut
        "bf16": plan.dtype == "bfloat16",
        "activation_checkpointing": plan.checkpointing,
        "use_cpu": plan.device == "cpu",
        "dataloader_pin_memory": plan.device == "cuda",
        "save_strategy": "steps",
        "save_steps": spec.recipe.checkpoint_steps,
        "save_total_limit": 2,
        "logging_steps": max(1, steps // 40),
        "report_to": "none",
        "disable_tqdm": True,
        "seed": spec.seed,
        "data_seed": spec.seed,
    }


def quantization_of(plan: TrainPlan) -> Any:
    """Return how the base is quantized as it is loaded, or None."""
    import torch
    from transformers import BitsAndBytesConfig

    if plan.quantization == "none":
        return None
    config: Any = BitsAndBytesConfig
    return config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=plan.quantization == "nf4-double",
        bnb_4bit_compute_dtype=getattr(torch, plan.dtype),
    )


def _build(
    spec: TrainSpec,
    folder: Path,
    base: BaseModel,
    tokenizer: Any,
    rows: Sequence[TokenRow],
    plan: TrainPlan,
    validation: Sequence[TokenRow],
) -> Any:
    load_libraries()
    import torch
    from peft import LoraConfig
    from trl.trainer.sft_config import SFTConfig

    recipe = spec.recipe
    steps = optimizer_steps(len(rows), batch=recipe.batch_size, epochs=recipe.epochs)
    # A batch is as long as its longest row: rows of like length go together where padding costs as
    # much as text.
    alike = plan.dtype == "bfloat16" and not plan.packing
    trainer = completion_trainer(
        workers=plan.workers,
        model=str(base.folder),
        args=SFTConfig(
            **common_arguments(
                spec,
                folder,
                plan,
                steps=steps,
                epochs=recipe.epochs,
                learning_rate=recipe.learning_rate,
            )
            | (_trial_arguments(plan) if validation else {}),
            model_init_kwargs={
                "dtype": getattr(torch, plan.dtype),
                "attn_implementation": plan.attention,
            },
            # The rows of a micro-batch in one line, none padded: a step has the same rows still.
            padding_free=plan.packing,
            train_sampling_strategy="group_by_length" if alike else "random",
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=_dataset(rows),
        eval_dataset=_dataset(validation) if validation else None,
        processing_class=tokenizer,
        quantization_config=quantization_of(plan),
        peft_config=LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules="all-linear",
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )
    weights = dict(trainer.model.named_parameters())
    trained = [name for name, weight in weights.items() if weight.requires_grad]
    check_servable(trainer.model.peft_config["default"], trained)
    # TRL holds the adapter of a quantized base in bfloat16, where small steps are lost.
    for name in trained:
        weights[name].data = weights[name].data.float()
    if plan.dequantized:
        keep_dequantized(trainer.model)
    return trainer


def _trial_arguments(plan: TrainPlan) -> dict[str, Any]:
    return {
        "save_strategy": "no",
        "eval_strategy": "epoch",
        "per_device_eval_batch_size": plan.micro_batch,
    }


def _dataset(rows: Sequence[TokenRow]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.input_ids for row in rows],
            "labels": [row.labels for row in rows],
        }
    )
