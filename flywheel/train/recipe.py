"""The recipe: supervised fine-tuning of a LoRA adapter on an NF4 base (QLoRA, Dettmers 2023).

Read it from the top: check everything, build the trainer, train, export. What surrounds it
(arguments, signals, exit codes) is in ``program``; where it runs is a launcher's business.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flywheel.answers import AnswerCodec
from flywheel.base_folder import BaseModel, load_base, own_precision
from flywheel.errors import IntegrityError, InterruptedWorkError, OutOfMemoryError
from flywheel.ports.train_launcher import TrainResult, TrainSpec
from flywheel.train.checkpoints import FOLDER, last_complete
from flywheel.train.completion_trainer import completion_trainer
from flywheel.train.export import export, finished
from flywheel.train.reporting import progress_callback
from flywheel.train.rows import TokenRow, read_rows, tokenize_rows
from flywheel.train.servable import check_servable, serving_rank

__all__ = ["train"]

_LARGE = 2_000_000_000  # bytes of weights from which memory matters more than time


def train(spec: TrainSpec, out: Path) -> TrainResult:
    """Train the adapter of ``spec`` into ``out``, going on where an earlier try was cut off."""
    done = finished(spec, out)
    if done is not None:
        return done
    # Everything that can be wrong is looked at before any time is spent.
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
    with _memory_errors():
        return _train(spec, out, base, tokenizer, rows)


def _train(
    spec: TrainSpec, out: Path, base: BaseModel, tokenizer: Any, rows: Sequence[TokenRow]
) -> TrainResult:
    started = time.perf_counter()
    checkpoint = last_complete(out)
    trainer = _trainer(spec, out, base, tokenizer, rows)
    weights = dict(trainer.model.named_parameters())
    trained = [name for name, weight in weights.items() if weight.requires_grad]
    rank = check_servable(trainer.model.peft_config["default"], trained)
    # TRL holds the adapter of a quantised base in bfloat16, where small steps are lost.
    for name in trained:
        weights[name].data = weights[name].data.float()
    tokens = sum(len(row.input_ids) for row in rows)
    reporting = progress_callback(out, tokens / len(rows), spec.recipe.batch_size)
    trainer.add_callback(reporting)
    prepared = time.perf_counter()
    outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if reporting.stopped:
        raise InterruptedWorkError(
            f"Training was asked to stop at step {trainer.state.global_step}.",
            next_step="start it again: it goes on from there",
        )
    metrics = {
        "loss": float(outcome.training_loss),
        "final_loss": reporting.losses[-1] if reporting.losses else float(outcome.training_loss),
        "rows": float(len(rows)),
        "tokens": float(tokens),
        "steps": float(trainer.state.global_step),
        "trained_parameters": float(sum(weights[name].numel() for name in trained)),
        "preparation_seconds": round(prepared - started, 2),
        "training_seconds": round(time.perf_counter() - prepared, 2),
    }
    return export(
        spec,
        out,
        trainer.model,
        tokenizer,
        metrics=metrics,
        resumed_from_step=int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0,
        serving={"max_lora_rank": rank},
    )


def _trainer(
    spec: TrainSpec, out: Path, base: BaseModel, tokenizer: Any, rows: Sequence[TokenRow]
) -> Any:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import BitsAndBytesConfig
    from trl.trainer.sft_config import SFTConfig

    recipe = spec.recipe
    quantization: Any = BitsAndBytesConfig
    precision = own_precision(base.folder)
    dtype = getattr(torch, precision)
    weights = sum(path.stat().st_size for path in base.folder.glob("*.safetensors"))
    steps = -(-len(rows) // recipe.batch_size) * recipe.epochs
    return completion_trainer(
        model=str(base.folder),
        args=SFTConfig(
            output_dir=str(out / FOLDER),
            model_init_kwargs={"dtype": dtype},
            num_train_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=max(1, steps // 20),
            # A batch is as long as its longest row: rows of like length go together where padding
            # costs as much as text.
            train_sampling_strategy="group_by_length" if precision == "bfloat16" else "random",
            weight_decay=0.0,
            max_length=None,  # lengths were checked: nothing is cut
            dataset_kwargs={"skip_prepare_dataset": True},
            bf16=precision == "bfloat16",
            gradient_checkpointing=weights > _LARGE,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
            save_strategy="steps",
            save_steps=recipe.checkpoint_steps,
            save_total_limit=2,
            logging_steps=max(1, steps // 40),
            report_to="none",
            disable_tqdm=True,
            seed=spec.seed,
            data_seed=spec.seed,
        ),
        train_dataset=Dataset.from_dict(
            {
                "input_ids": [row.input_ids for row in rows],
                "labels": [row.labels for row in rows],
            }
        ),
        processing_class=tokenizer,
        quantization_config=quantization(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        ),
        peft_config=LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            target_modules="all-linear",
            bias="none",
            task_type="CAUSAL_LM",
        ),
    )


@contextmanager
def _memory_errors() -> Iterator[None]:
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        short = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not short and "can't allocate memory" not in str(error):
            raise
        raise OutOfMemoryError(
            f"Training ran out of memory: {error}",
            next_step="lower training.batch_size or training.maximum_tokens, or use a larger machine",
        ) from error
