"""`search_recipe`: try recipes on a part of the training rows, and keep what was found.

Each finished trial is on disk: a search that was cut off goes on with the next one.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from flywheel.io.atomic import write_json
from flywheel.io.records import JsonObject
from flywheel.ports.train_launcher import TrainSpec
from flywheel.train.halving import Trial, run_halving
from flywheel.train.hardware import release_memory
from flywheel.train.memory import PlanMemory
from flywheel.train.plan import TrainPlan, optimizer_steps
from flywheel.train.rows import TokenRow
from flywheel.train.stages import Stage, run_stage
from flywheel.workload.model import TrainingRecipe

__all__ = ["Search", "TrialRunner", "search_recipe"]

_FILE = "search.json"
_FOLDER = "search_checkpoints"
Build = Callable[
    [TrainSpec, Path, Sequence[TokenRow], TrainPlan, Sequence[TokenRow]], tuple[Any, TrainPlan]
]


@dataclass(frozen=True)
class Search:
    """The recipe that was chosen, and everything that was tried for it; times are seconds."""

    recipe: TrainingRecipe
    trials: tuple[Trial, ...]
    seconds: float
    train_rows: int
    validation_rows: int

    def to_facts(self) -> JsonObject:
        """Return what was tried and why the recipe was chosen, as a result holds it."""
        last = self.trials[-1]
        why = (
            f"lowest validation loss of {len({(t.learning_rate, t.rank) for t in self.trials})} "
            f"recipes by successive halving; of {len(last.losses)} epochs the loss was lowest after "
            f"{last.best_epochs}"
        )
        return {
            "trials": [
                asdict(trial) | {"losses": list(trial.losses), "loss": trial.loss}
                for trial in self.trials
            ],
            "chosen": {
                name: getattr(self.recipe, name)
                for name in ("learning_rate", "rank", "alpha", "epochs")
            },
            "why": why,
            "rows": {"train": self.train_rows, "validation": self.validation_rows},
            "seconds": self.seconds,
        }


def search_recipe(
    trials: "TrialRunner", memory: PlanMemory, build: Build, *, spec_digest: str
) -> Search:
    """Choose the recipe of a spec by its search.

    Args:
        trials: spec, folder, rows and plan of the trials.
        memory: of smaller plans, where memory was short.
        build: builds the trainer of a trial.
        spec_digest: trials of another spec are not taken over.

    Raises:
        InterruptedWorkError: it was asked to stop, and can be started again.
        OutOfMemoryError: no smaller plan is left.
    """
    spec = trials.spec
    search = spec.recipe.search
    assert search is not None
    kept = _Kept(trials.out / _FILE, spec_digest)

    def measure(trial: Trial) -> Trial:
        done = kept.find(trial)
        if done is None:
            done, seconds = trials.measure(trial, search.patience, memory, build)
            kept.add(done, seconds)
        return done

    recipe, tried = run_halving(spec.recipe, search, measure)
    return Search(
        recipe,
        tuple(tried),
        round(kept.seconds, 2),
        len(trials.rows),
        len(trials.validation),
    )


@dataclass(frozen=True)
class TrialRunner:
    """Trains trials of one spec: on ``rows``, judged by the loss on ``validation``."""

    spec: TrainSpec
    out: Path
    rows: Sequence[TokenRow]
    validation: Sequence[TokenRow]
    plan: TrainPlan

    def measure(
        self, trial: Trial, patience: int, memory: PlanMemory, build: Build
    ) -> tuple[Trial, float]:
        """Train one trial; return it with its losses, and its seconds."""
        recipe, folder = trial.applied_to(self.spec.recipe, epochs=trial.epochs), self.out / _FOLDER
        spec = self.spec.model_copy(update={"recipe": recipe})
        losses: list[float] = []

        def build_trial(plan: TrainPlan) -> tuple[Any, TrainPlan]:
            losses.clear()
            trainer, plan = build(spec, folder, self.rows, plan, self.validation)
            trainer.add_callback(_stopping(losses, patience))
            return trainer, plan

        steps = optimizer_steps(len(self.rows), batch=recipe.batch_size, epochs=trial.epochs)
        stage = Stage("search", self.out, _FOLDER, steps_before=0, steps_of_all=steps)
        model, finished = run_stage(stage, self.plan, memory, build_trial)
        del model
        release_memory()
        shutil.rmtree(folder, ignore_errors=True)
        return replace(trial, losses=tuple(losses)), finished.seconds


def _stopping(losses: list[float], patience: int) -> Any:
    from transformers import TrainerCallback

    class Stopping(TrainerCallback):
        # Keeps the validation loss of every epoch, and ends a trial that gets no better.
        def on_evaluate(
            self,
            args: Any,  # noqa: ARG002 - the library's signature
            state: Any,  # noqa: ARG002
            control: Any,
            metrics: dict[str, float] | None = None,
            **_: Any,
        ) -> None:
            losses.append(round(float((metrics or {})["eval_loss"]), 6))
            if len(losses) - 1 - losses.index(min(losses)) >= patience:
                control.should_training_stop = True

    return Stopping()


class _Kept:
    # The finished trials of a spec.
    def __init__(self, path: Path, spec_digest: str) -> None:
        self._path, self._digest = path, spec_digest
        self.seconds = 0.0
        self._trials: list[Trial] = []
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return  # none was finished
        if document.get("spec_digest") == spec_digest:
            self.seconds = document["seconds"]
            self._trials = [
                Trial(**{**one, "losses": tuple(one["losses"])}) for one in document["trials"]
            ]

    def find(self, trial: Trial) -> Trial | None:
        return next((one for one in self._trials if replace(one, losses=()) == trial), None)

    def add(self, trial: Trial, seconds: float) -> None:
        self._trials.append(trial)
        self.seconds += seconds
        document = {
            "spec_digest": self._digest,
            "seconds": self.seconds,
            "trials": [asdict(one) for one in self._trials],
        }
        write_json(self._path, document, indent=1)
