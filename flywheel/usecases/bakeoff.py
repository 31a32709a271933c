"""`run_bakeoff`: bases against each other on a part of the training rows, within a budget of time.

Nothing here reads a golden or holdout case: the gate that later judges a candidate on the chosen base
stays unbiased. Only figures are kept; the texts of a try are removed when it ends.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.artifacts.bakeoff_result import BakeoffArm, BakeoffFile, BakeoffKind
from flywheel.artifacts.snapshot import read_rows
from flywheel.errors import (
    DataError,
    FlywheelError,
    InterruptedWorkError,
    NotFoundError,
)
from flywheel.quality.validation_split import split_rows
from flywheel.usecases.bakeoff_arms import BakeoffPlan, Progress, measure_arm
from flywheel.usecases.datasets import newest_dataset

if TYPE_CHECKING:
    from flywheel.artifacts.references import SnapshotRef
    from flywheel.evaluate.suites import Rows
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["Bakeoff", "run_bakeoff"]

KINDS: tuple[BakeoffKind, ...] = ("zero_shot", "few_shot", "tuned")


@dataclass(frozen=True)
class Bakeoff:
    """What was measured: arms in the order of the bases, on ``cases`` validation rows.

    ``score`` names what they are ranked by: ``accuracy``, or the score of texts that the gate decides
    on (``task.score`` of a generation).
    """

    workload_id: str
    score: str
    cycle: str
    snapshot: str
    train_rows: int
    cases: int
    minutes: float
    spent_seconds: float
    arms: tuple[BakeoffArm, ...]


def run_bakeoff(
    platform: "Platform",
    workload_id: str,
    bases: Sequence[str],
    *,
    minutes: float,
    share: float = 0.2,
    on_progress: Progress = lambda *_: None,
) -> Bakeoff:
    """Measure each base without examples, with worked examples and tuned. Safe to repeat.

    What was measured before on the same rows is not measured again, and an interrupted training goes
    on from its last checkpoint. An arm that fails says why and stops no other.

    Args:
        platform: the deployment; every base was built for the workload.
        workload_id: whose newest snapshot is used.
        bases: as ``base_model`` of a workload file names them.
        minutes: for all arms of all tries; a training may take its base's equal share of it.
        share: of the training rows, on which the bases are compared.
        on_progress: told what is done, how much of it, and of how much.

    Raises:
        NotFoundError: there is no such workload, no snapshot of it, or a base was not built.
        DataError: the snapshot is too small to be split.
    """
    workload = platform.workload(workload_id)
    variants = [workload.model_copy(update={"base_model": name}) for name in dict.fromkeys(bases)]
    for variant in variants:
        platform.base(variant)  # before time is spent on another one
    newest = newest_dataset(platform, workload_id)
    if newest is None:
        raise NotFoundError(
            f"No cycle of {workload_id} has built a dataset yet.",
            next_step=f"open one and run `flywheel cycle run {workload_id} --step dataset`",
        )
    cycle, dataset = newest
    train, validation = split_rows(read_rows(dataset.folder, "train"), share, workload.seed)
    if not train or not validation:
        raise DataError(
            f"The {len(train) + len(validation)} training rows of {workload_id} cannot be split.",
            next_step="review more items, or raise --share",
        )
    folder = _folder(platform, workload, dataset, validation)
    plan = BakeoffPlan(
        train=train,
        validation=validation,
        folder=folder,
        file=BakeoffFile.open(folder / "result.json"),
        budget_seconds=minutes * 60,
        share_seconds=max(1, int(minutes * 60 / len(variants))),
    )
    # What costs little comes first, for every base; then the trainings.
    measured = {
        (variant.base_model, kind): _arm(platform, plan, variant, kind, on_progress)
        for kind in KINDS
        for variant in variants
    }
    return Bakeoff(
        workload_id=workload_id,
        score=workload.task.score if workload.task.type == "generation" else "accuracy",
        cycle=cycle,
        snapshot=dataset.hash,
        train_rows=len(train),
        cases=len(validation),
        minutes=minutes,
        spent_seconds=plan.file.spent_seconds,
        arms=tuple(measured[one.base_model, kind] for one in variants for kind in KINDS),
    )


def _folder(
    platform: "Platform", workload: "Workload", dataset: "SnapshotRef", validation: "Rows"
) -> Path:
    # Another prompt, recipe or split is another bake-off.
    changing = {"base_model", "owner", "description"}
    identity = [
        dataset.hash,
        workload.model_dump_json(exclude=changing),
        [row["inference_id"] for row in validation],
    ]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    return platform.home / "bakeoffs" / workload.id / name


def _arm(
    platform: "Platform",
    plan: BakeoffPlan,
    variant: "Workload",
    kind: BakeoffKind,
    on_progress: Progress,
) -> BakeoffArm:
    base = platform.base(variant)
    earlier = plan.file.find(base.digest, kind)
    if earlier is not None and earlier.problem is None:
        on_progress(f"{variant.base_model} {kind}: measured before", 0, 0)
        return earlier
    size = sum(file.size for file in base.manifest.files) if base.manifest else 0
    blank = BakeoffArm(variant.base_model, base.digest, kind, base_bytes=size)
    if plan.is_spent:
        # Not kept: a larger budget measures it.
        return replace(blank, problem="the budget was spent before")
    began = time.perf_counter()
    try:
        measured = measure_arm(platform, plan, variant, blank, on_progress)
    except InterruptedWorkError:
        raise
    except FlywheelError as error:
        measured = replace(blank, problem=error.message)
    spent = time.perf_counter() - began + (0.0 if earlier is None else earlier.spent_seconds)
    return plan.file.keep(replace(measured, spent_seconds=spent))
