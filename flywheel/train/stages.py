"""Run one stage of a training to its end: resumed where it was cut off, smaller where memory asks.

What a stage learned is handed to the next in a folder that appears whole or not at all, so that a
run which is killed in the second stage keeps the result of the first.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from flywheel.errors import InterruptedWorkError
from flywheel.io.atomic import place, write_json
from flywheel.io.garbage import collect_as_usual
from flywheel.train.bookkeeping import skip_bookkeeping
from flywheel.train.checkpoints import last_complete, step_of
from flywheel.train.memory import PlanMemory, within_memory
from flywheel.train.plan import TrainPlan
from flywheel.train.reporting import progress_callback

__all__ = ["RECORD", "Finished", "Stage", "hand_over", "handed_over", "run_stage"]

RECORD = "stage.json"


@dataclass(frozen=True)
class Stage:
    """One stage: its name, the folder of its checkpoints and its place among all steps."""

    name: Literal["search", "sft", "preference"]
    out: Path
    checkpoints: str
    steps_before: int
    steps_of_all: int


@dataclass(frozen=True)
class Finished:
    """What a stage left; ``rewards`` are those of a preference stage's last steps."""

    loss: float
    final_loss: float
    steps: int
    tokens: int
    seconds: float
    preparation_seconds: float
    resumed_from_step: int
    trained_parameters: int
    plan: dict[str, Any]
    plan_changes: list[dict[str, Any]]
    rewards: dict[str, float] = field(default_factory=dict)


def run_stage(
    stage: Stage,
    plan: TrainPlan,
    memory: PlanMemory,
    build: Callable[[TrainPlan], tuple[Any, TrainPlan]],
) -> tuple[Any, Finished]:
    """Train to the end of a stage; return the trained model and what there is to say.

    Raises:
        InterruptedWorkError: it was asked to stop, and can be started again.
        OutOfMemoryError: no smaller plan is left.
    """

    def attempt(plan: TrainPlan) -> tuple[Any, Finished]:
        return _attempt(stage, plan, memory, build)

    def changed(plan: TrainPlan, reason: str) -> None:
        memory.add(stage.name, plan, reason)
        if plan.workers > 1:
            raise InterruptedWorkError(
                f"Memory was short in one of {plan.workers} workers: {reason}",
                next_step="all start again with fewer rows at a time",
            )

    return within_memory(memory.apply(stage.name, plan), attempt, changed)


def hand_over(folder: Path, model: Any, finished: Finished, spec_digest: str) -> None:
    """Keep a stage's adapter and record for the next stage."""
    part = folder.with_name(f"{folder.name}.part")
    for old in (part, folder):
        shutil.rmtree(old, ignore_errors=True)
    model.save_pretrained(part, selected_adapters=["default"])
    record = {"spec_digest": spec_digest, "finished": asdict(finished)}
    write_json(part / RECORD, record, indent=1, sort_keys=True)
    place(part, folder)


def handed_over(folder: Path, spec_digest: str) -> Finished | None:
    """Return what an earlier stage of the same spec handed over, or None."""
    try:
        record: Mapping[str, Any] = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return Finished(**record["finished"]) if record["spec_digest"] == spec_digest else None


def _attempt(
    stage: Stage,
    plan: TrainPlan,
    memory: PlanMemory,
    build: Callable[[TrainPlan], tuple[Any, TrainPlan]],
) -> tuple[Any, Finished]:
    started = time.perf_counter()
    checkpoint = last_complete(stage.out, stage.checkpoints)
    trainer, plan = build(plan)
    skip_bookkeeping(trainer)
    reporting = progress_callback(
        stage.out, trainer, stage.name, before=stage.steps_before, steps=stage.steps_of_all
    )
    trainer.add_callback(reporting)
    collect_as_usual()
    prepared = time.perf_counter()
    with reporting.listening():
        outcome = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if reporting.stopped:
        raise InterruptedWorkError(
            f"Training was asked to stop at step {trainer.state.global_step}.",
            next_step="start it again: it resumes from there",
        )
    trained = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    loss = float(outcome.training_loss)
    return trainer.model, Finished(
        loss=loss,
        final_loss=reporting.losses[-1] if reporting.losses else loss,
        steps=int(trainer.state.global_step),
        tokens=int(trainer.tokens_seen),
        seconds=round(time.perf_counter() - prepared, 2),
        preparation_seconds=round(prepared - started, 2),
        resumed_from_step=(step_of(checkpoint.name) or 0) if checkpoint else 0,
        trained_parameters=sum(weight.numel() for weight in trained),
        plan=plan.to_facts(),
        plan_changes=memory.changes(stage.name),
        rewards=reporting.rewards,
    )
