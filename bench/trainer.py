"""The trainer against bare TRL: tokens a second on the same rows, base, batches and precision.

On a GPU with SmolLM2, without one with the tiny base. Both are taken in turns, from the first step
to the last; loading, tokenising and writing are left out.
"""

import gc
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.ratio import Ratio
from flywheel.artifacts.base_folder import BaseModel
from flywheel.artifacts.dataset_rows import LabeledRow
from flywheel.basemodel import build_base
from flywheel.basemodel.tiny import TINY
from flywheel.ports.train_launcher import TrainSpec
from flywheel.settings import load_settings
from flywheel.simulation.traffic import pretraining_texts, seed_labels_of
from flywheel.train.hardware import model_size, read_hardware, release_memory
from flywheel.train.plan import TrainPlan, make_plan
from flywheel.train.rows import TokenRow, tokenize_rows
from flywheel.train.supervised import build_supervised, common_arguments, quantization_of
from flywheel.workload.files import load_workload
from flywheel.workload.model import Workload

__all__ = ["TrainingWork", "measure", "quiet_libraries"]

_REPOSITORY = Path(__file__).parent.parent
_ROWS = 480
_ROUNDS = 5


def measure(*, rows: int = _ROWS, rounds: int = _ROUNDS) -> list[Ratio]:
    """Measure one epoch of each."""
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        workload = load_workload(_REPOSITORY / "deploy" / "workloads" / "defect_reports.yaml")
        records: list[LabeledRow] = [
            {"inference_id": f"seed-{number}", "input": labeled.text, "output": labeled.output}
            for number, labeled in enumerate(seed_labels_of(count=rows, seed=0))
        ]
        base = _base(workload, Path(folder), read_hardware().device)
        work = TrainingWork(Path(folder), workload, base, records)
        taken: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(rounds + 1):
            for name, build in (("ours", work.ours), ("bare", work.bare)):
                taken[name].append(_seconds(build()))
        tokens = sum(len(row.input_ids) for row in work.rows)
    speed = {name: tokens / statistics.median(times[1:]) for name, times in taken.items()}
    plan = work.plan
    return [
        Ratio(
            name=f"trainer / bare TRL ({work.base.name}, {plan.dtype}, {plan.quantization}, "
            f"{plan.device})",
            measured=speed["ours"],
            anchor=speed["bare"],
            unit="tokens/s",
            aim="at least 1.0",
            good=speed["ours"] >= speed["bare"],
        )
    ]


def quiet_libraries() -> None:
    """Keep progress bars and warnings of the training's libraries off the terminal."""
    from transformers.utils import logging

    quiet: Any = logging.disable_progress_bar
    quiet()
    warnings.simplefilter("ignore")


class TrainingWork:
    """Rows, base and plan of one epoch, for the project's trainer and for bare TRL."""

    def __init__(
        self, folder: Path, workload: Workload, base: BaseModel, records: Sequence[LabeledRow]
    ) -> None:
        from transformers import AutoTokenizer

        self.base = base
        self.tokenizer = AutoTokenizer.from_pretrained(base.folder)
        recipe = workload.training.model_copy(update={"epochs": 1, "checkpoint_steps": 10_000})
        codec = self.base.codec(workload)
        self.rows: Sequence[TokenRow] = tokenize_rows(records, codec, self.tokenizer, limit=512)
        longest = max(len(row.input_ids) for row in self.rows)
        self.plan: TrainPlan = make_plan(
            read_hardware(), model_size(self.base.folder), recipe, longest_row=longest
        )
        self._folder = folder
        self._spec = TrainSpec(
            release="bench",
            workload=workload,
            cycle="bench",
            attempt=1,
            base_folder=self.base.folder,
            base_digest=self.base.digest,
            surfaces=codec.surfaces,
            dataset_folder=folder,
            dataset_hash="",
            recipe=recipe,
            seed=0,
        )

    def ours(self) -> Any:
        """Build the project's trainer."""
        trainer, self.plan = build_supervised(
            self._spec, self._folder / "ours", self.base, self.tokenizer, self.rows, self.plan
        )
        return _without_printer(trainer)

    def bare(self) -> Any:
        """Build TRL's own, with the same arguments and without packing."""
        import torch
        from datasets import Dataset
        from peft import LoraConfig
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer

        recipe = self._spec.recipe
        arguments = common_arguments(
            self._spec,
            self._folder / "bare",
            self.plan,
            steps=-(-len(self.rows) // recipe.batch_size),
            epochs=1,
            learning_rate=recipe.learning_rate,
        )
        alike = self.plan.dtype == "bfloat16"
        trainer = SFTTrainer(
            model=str(self.base.folder),
            args=SFTConfig(
                **arguments,
                model_init_kwargs={
                    "dtype": getattr(torch, self.plan.dtype),
                    "attn_implementation": self.plan.attention,
                },
                train_sampling_strategy="group_by_length" if alike else "random",
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=Dataset.from_dict(
                {
                    "input_ids": [row.input_ids for row in self.rows],
                    "labels": [row.labels for row in self.rows],
                }
            ),
            processing_class=self.tokenizer,
            quantization_config=quantization_of(self.plan),
            peft_config=LoraConfig(
                r=recipe.rank,
                lora_alpha=recipe.alpha,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )
        return _without_printer(trainer)


def _base(workload: Workload, folder: Path, device: str) -> BaseModel:
    if device == "cuda":
        return build_base("smollm2", workload=workload, cache=load_settings().cache)
    # What it knows does not matter to its speed.
    return build_base(
        "tiny",
        workload=workload,
        texts=pretraining_texts(count=2_000, seed=0),
        cache=folder / "cache",
        size=replace(TINY, steps=1),
    )


def _without_printer(trainer: Any) -> Any:
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    return trainer


def _seconds(trainer: Any) -> float:
    gc.collect()
    started = time.perf_counter()
    trainer.train()
    taken = time.perf_counter() - started
    del trainer
    release_memory()
    return taken
