"""Memory that runs short: the same training again with fewer rows at once, and never other steps.

What was learned about a machine's memory is kept in the output folder, so that a run which is cut
off afterwards does not have to learn it again.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from flywheel.errors import OutOfMemoryError
from flywheel.io.atomic import write_json
from flywheel.io.records import JsonObject
from flywheel.train.hardware import release_memory
from flywheel.train.plan import TrainPlan, smaller

__all__ = ["PLANS", "PlanMemory", "memory_errors", "within_memory"]

PLANS = "plans.json"
Result = TypeVar("Result")

_SHORTAGES = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
_NEXT = "lower training.maximum_tokens or training.rank, or use a device with more memory"


class PlanMemory:
    """Changes of plan in one output folder, by stage; those of another spec are forgotten."""

    def __init__(self, out: Path, spec_digest: str) -> None:
        self._path, self._digest = out / PLANS, spec_digest

    def changes(self, stage: str) -> list[JsonObject]:
        """Return what was changed so far, oldest first."""
        return list(self._read().get(stage, []))

    def apply(self, stage: str, plan: TrainPlan) -> TrainPlan:
        """Return the plan as the stage's earlier tries left it."""
        changes = self.changes(stage)
        if not changes:
            return plan
        last, reason = changes[-1], "memory was short in an earlier try"
        return replace(
            plan,
            micro_batch=last["micro_batch"],
            accumulation=plan.batch // last["micro_batch"],
            checkpointing=last["checkpointing"],
            dequantized=False,
            reasons={**plan.reasons, "micro_batch": reason},
        )

    def add(self, stage: str, plan: TrainPlan, reason: str) -> None:
        """Record that the stage continues with ``plan``."""
        changes = self._read()
        change: dict[str, Any] = {
            "micro_batch": plan.micro_batch,
            "accumulation": plan.accumulation,
        }
        change |= {"checkpointing": plan.checkpointing, "reason": reason}
        changes[stage] = [*changes.get(stage, []), change]
        plans = {"spec_digest": self._digest, "stages": changes}
        write_json(self._path, plans, indent=1, sort_keys=True)

    def _read(self) -> dict[str, list[JsonObject]]:
        try:
            document = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return dict(document["stages"]) if document.get("spec_digest") == self._digest else {}


def within_memory(
    plan: TrainPlan,
    attempt: Callable[[TrainPlan], Result],
    changed: Callable[[TrainPlan, str], None],
) -> Result:
    """Run ``attempt``, each time that memory is short with a smaller plan of the same steps.

    Raises:
        OutOfMemoryError: one row at a time was still too much.
    """
    while True:
        try:
            return attempt(plan)
        except (MemoryError, RuntimeError) as error:
            if not _is_shortage(error):
                raise
            message = (str(error) or type(error).__name__).splitlines()[0][:200]
        # Only here, when the error is gone, is what its frames held really free.
        release_memory()
        less = smaller(plan)
        if less is None:
            raise OutOfMemoryError(
                f"Training ran out of memory with one row at a time: {message}", next_step=_NEXT
            )
        changed(less, message)
        plan = less


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn a shortage of memory outside of the training steps into an error of ours."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_shortage(error):
            raise
        raise OutOfMemoryError(f"Memory ran out: {error}", next_step=_NEXT) from error


def _is_shortage(error: Exception) -> bool:
    import torch

    is_memory_error = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return is_memory_error or any(text in str(error) for text in _SHORTAGES)
