"""`Study`: one data set and one base, on which arms are trained and judged on the same rows.

Rows, prompt and recipe are those of `flywheel simulate` with labels drawn at random: some of every
class, the rest at random, a few of them wrong. What the trained adapter answers under the mask of
the server is compared with the labels of the data set's own test file.
"""

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.decisions.labeled_files import LABELED_FILES
from bench.training_ideas.arms import Arm
from bench.training_ideas.averaging import Averager, record
from bench.training_ideas.losses import agree, smooth
from flywheel.artifacts.adapter_folder import write_manifest
from flywheel.artifacts.dataset_rows import LabeledRow as TrainingRow
from flywheel.basemodel import build_base
from flywheel.ports.train_launcher import TrainSpec
from flywheel.serve.local_server import LocalModelServer
from flywheel.simulation.labeled import split_labeled
from flywheel.train.hardware import model_size, read_hardware, release_memory
from flywheel.train.plan import make_plan, optimizer_steps
from flywheel.train.rows import TokenRow, tokenize_rows
from flywheel.train.supervised import build_supervised
from flywheel.usecases.simulation_plan import SimulationPlan, simulated_workload
from flywheel.usecases.simulation_study import RECIPES
from flywheel.workload.prompt import prompt_ids, render_prompt

__all__ = ["Outcome", "Study"]

_LONGEST = 256
_WRONG = 0.02
_OF_EACH_LABEL = 5


@dataclass(frozen=True)
class Outcome:
    """Which test rows came out right, and the CPU seconds of the training."""

    right: list[bool]
    cpu_seconds: float
    steps: int


class Study:
    """Train arms on ``rows`` labels and judge them on the test rows, or on the first ``tested``."""

    def __init__(
        self, data: str, base: str, *, rows: int, tested: int | None, cache: Path, folder: Path
    ) -> None:
        from transformers import AutoTokenizer

        self._rows, self._folder = rows, folder
        file = next(one for one in LABELED_FILES if one.name == data)
        self._train, test = file.read()
        random.Random(0).shuffle(test)  # noqa: S311 - reproducible, not secret
        self._test = test[:tested]
        labels = sorted({row.label for row in self._train})
        plan = SimulationPlan(
            workload_id=data.replace("-", "_"),
            base=base,
            arm="random",
            seed=0,
            quarters=1,
            budget=rows,
            seed_per_label=_OF_EACH_LABEL,
            cap=None,
            error_rate=_WRONG,
            recipe=RECIPES[base],
        )
        self._workload = simulated_workload(plan, labels)
        self._labels = labels
        texts = [row.text for row in self._train]
        self._base = build_base(base, workload=self._workload, texts=texts, cache=cache)
        self._codec = self._base.codec(self._workload)
        self._tokenizer = AutoTokenizer.from_pretrained(self._base.folder)
        self._server = LocalModelServer(self._base.folder)
        self._texts = self._text_rows(texts)

    def run(self, arm: Arm, seed: int) -> dict[str, Outcome]:
        """Train an arm; return how it did, by the name of the average or ``""`` for the last step."""
        rows = self._labeled_rows(seed)
        trainer, steps = self._build(arm, seed, rows)
        averager = Averager(steps)
        if arm.averaged:
            record(trainer, averager)
        seconds, before = 0.0, 0
        if arm.unlabeled_steps:
            before = round(steps * arm.unlabeled_steps)
            seconds = self._pretrain(trainer, seed, before)
        seconds += _train(trainer)
        outcomes = {"": Outcome(self._judge(trainer.model), seconds, steps + before)}
        for name, weights in (averager.averages() if arm.averaged else {}).items():
            _set(trainer.model, weights)
            outcomes[name] = Outcome(self._judge(trainer.model), seconds, steps)
        del trainer
        release_memory()
        return outcomes

    def _labeled_rows(self, seed: int) -> list[TokenRow]:
        split = split_labeled(
            self._train, seed_per_label=_OF_EACH_LABEL, quarters=1, seed=seed, cap=None
        )
        chosen = [*split.seed, *split.quarters[0]][: self._rows]
        rng = random.Random(f"wrong:{seed}")  # noqa: S311 - reproducible, not secret
        records: list[TrainingRow] = []
        for number, row in enumerate(chosen):
            label = rng.choice(self._labels) if rng.random() < _WRONG else row.label
            records.append({"inference_id": f"row-{number}", "input": row.text, "output": label})
        return self._tokenized(records)

    def _tokenized(self, records: Sequence[TrainingRow]) -> list[TokenRow]:
        return tokenize_rows(records, self._codec, self._tokenizer, limit=_LONGEST)

    def _text_rows(self, texts: Sequence[str]) -> list[TokenRow]:
        prompts = [
            render_prompt(self._workload, text, (), self._codec, tokenizer=self._tokenizer)
            for text in texts
        ]
        return [TokenRow(list(ids), list(ids)) for ids in prompt_ids(self._tokenizer, prompts)]

    def _build(
        self, arm: Arm, seed: int, rows: Sequence[TokenRow], *, epochs: int | None = None
    ) -> tuple[Any, int]:
        written = self._workload.training
        if epochs is None:
            epochs = written.epochs * arm.lengthened
        recipe = written.model_copy(
            update={"epochs": epochs, "dropout": arm.dropout, "checkpoint_steps": 1_000_000}
        )
        spec = TrainSpec(
            release="bench",
            workload=self._workload,
            cycle="bench",
            attempt=1,
            base_folder=self._base.folder,
            base_digest=self._base.digest,
            surfaces=self._codec.surfaces,
            dataset_folder=self._folder,
            dataset_hash="",
            recipe=recipe,
            seed=seed,
        )
        longest = max(len(row.input_ids) for row in rows)
        plan = make_plan(
            read_hardware(), model_size(self._base.folder), recipe, longest_row=longest
        )
        trainer, _ = build_supervised(
            spec, self._folder / "checkpoints", self._base, self._tokenizer, rows, plan
        )
        trainer.args.save_strategy = "no"
        # As the trainer does on its own for larger bases: a third less time goes into padding.
        trainer.args.train_sampling_strategy = "group_by_length"
        _apply(trainer, arm, sorted({_first(row) for row in rows}))
        return trainer, optimizer_steps(len(rows), batch=recipe.batch_size, epochs=epochs)

    def _pretrain(self, trainer: Any, seed: int, steps: int) -> float:
        # Next tokens of unlabeled texts, as many rows as the labels are seen, by the same adapter.
        rng = random.Random(f"texts:{seed}")  # noqa: S311 - reproducible, not secret
        count = steps * self._workload.training.batch_size
        rows = [rng.choice(self._texts) for _ in range(count)]
        first, _ = self._build(Arm(), seed, rows, epochs=1)
        seconds = _train(first)
        _set(trainer.model, _adapter(first.model))
        return seconds

    def _judge(self, model: Any) -> list[bool]:
        folder = self._folder / "adapter"
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, selected_adapters=["default"])
        write_manifest(folder, {"base_digest": self._base.digest})
        self._server.load("candidate", folder)
        texts = [row.text for row in self._test]
        answers = self._server.answer("candidate", self._codec, texts)
        self._server.unload("candidate")
        return [answer.output == row.truth for answer, row in zip(answers, self._test, strict=True)]


def _first(row: TokenRow) -> int:
    return next(token for token in row.labels if token >= 0)


def _apply(trainer: Any, arm: Arm, answers: list[int]) -> None:
    from transformers import PrinterCallback, SchedulerType

    trainer.remove_callback(PrinterCallback)
    if arm.constant_rate:
        trainer.args.lr_scheduler_type = SchedulerType("constant_with_warmup")
    if arm.smoothing:
        smooth(trainer, arm.smoothing, answers=answers if arm.among_answers else None)
    if arm.agreement:
        agree(trainer, arm.agreement)


def _train(trainer: Any) -> float:
    started = time.process_time()
    trainer.train()
    return time.process_time() - started


def _adapter(model: Any) -> dict[str, Any]:
    return {
        name: value.detach().clone()
        for name, value in model.named_parameters()
        if value.requires_grad
    }


def _set(model: Any, weights: dict[str, Any]) -> None:
    import torch

    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad:
                value.copy_(weights[name])
