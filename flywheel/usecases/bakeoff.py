"""`run_bakeoff`: bases against each other on a part of the training rows, within a budget of time.

Nothing here reads a golden or holdout case: the gate that later judges a candidate on the chosen base
stays unbiased. Only figures are kept; the texts of a try are removed when it ends.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.bakeoff_result import BakeoffArm, BakeoffFile, BakeoffKind
from flywheel.artifacts.snapshot import MANIFEST, read_rows
from flywheel.errors import (
    ConfigurationError,
    DataError,
    FlywheelError,
    IntegrityError,
    InterruptedWorkError,
    NotFoundError,
    RefusedError,
)
from flywheel.io.atomic import write_bytes, write_json
from flywheel.quality.validation_split import split_rows
from flywheel.usecases.cycle import codec_of
from flywheel.usecases.without_training import resolve_few_shot

if TYPE_CHECKING:
    from flywheel.artifacts.references import SnapshotRef
    from flywheel.evaluate.suites import CaseResult, Rows
    from flywheel.ports.model_server import Shots
    from flywheel.ports.train_launcher import TrainProgress, TrainSpec
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["Bakeoff", "run_bakeoff"]

KINDS: tuple[BakeoffKind, ...] = ("zero_shot", "few_shot", "tuned")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Bakeoff:
    """What was measured: arms in the order of the bases, on ``cases`` validation rows."""

    workload_id: str
    cycle: str
    snapshot: str
    train_rows: int
    cases: int
    minutes: float
    spent_seconds: float
    arms: tuple[BakeoffArm, ...]


@dataclass(frozen=True)
class _Plan:
    # One bake-off: its rows and where its parts lie.
    workload: "Workload"
    train: "Rows"
    validation: "Rows"
    folder: Path
    file: BakeoffFile
    budget_seconds: float
    share_seconds: int

    @property
    def is_spent(self) -> bool:
        return self.file.spent_seconds >= self.budget_seconds


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
        RefusedError: the workload writes texts, which are not right or wrong.
    """
    workload = platform.workload(workload_id)
    if workload.task.type == "generation":
        raise RefusedError(
            f"{workload_id} writes texts; a bake-off compares answers that are right or wrong.",
            next_step="compare the bases by cycles: `flywheel cycle open --base-model`",
        )
    variants = [workload.model_copy(update={"base_model": name}) for name in dict.fromkeys(bases)]
    for variant in variants:
        platform.base(variant)  # before time is spent on another one
    cycle, dataset = _newest(platform, workload_id)
    train, validation = split_rows(read_rows(dataset.folder, "train"), share, workload.seed)
    if not train or not validation:
        raise DataError(
            f"The {len(train) + len(validation)} training rows of {workload_id} cannot be split.",
            next_step="review more items, or raise --share",
        )
    plan = _plan(platform, workload, dataset, train, validation, minutes, len(variants))
    # What costs little comes first, for every base; then the trainings.
    measured = {
        (variant.base_model, kind): _arm(platform, plan, variant, kind, on_progress)
        for kind in KINDS
        for variant in variants
    }
    return Bakeoff(
        workload_id=workload_id,
        cycle=cycle,
        snapshot=dataset.hash,
        train_rows=len(train),
        cases=len(validation),
        minutes=minutes,
        spent_seconds=plan.file.spent_seconds,
        arms=tuple(measured[one.base_model, kind] for one in variants for kind in KINDS),
    )


def _newest(platform: "Platform", workload_id: str) -> "tuple[str, SnapshotRef]":
    for cycle in reversed(platform.state.cycles.of(workload_id)):
        for attempt in reversed(platform.state.attempts.of(cycle.ref)):
            if attempt.dataset is not None:
                return cycle.name, attempt.dataset
    raise NotFoundError(
        f"No cycle of {workload_id} has built a dataset yet.",
        next_step=f"open one and run `flywheel cycle run {workload_id} --step dataset`",
    )


def _plan(
    platform: "Platform",
    workload: "Workload",
    dataset: "SnapshotRef",
    train: "Rows",
    validation: "Rows",
    minutes: float,
    bases: int,
) -> _Plan:
    # Another prompt, recipe or split is another bake-off.
    changing = {"base_model", "owner", "description"}
    identity = [
        dataset.hash,
        workload.model_dump_json(exclude=changing),
        [row["inference_id"] for row in validation],
    ]
    name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]
    folder = platform.home / "bakeoffs" / workload.id / name
    return _Plan(
        workload=workload,
        train=train,
        validation=validation,
        folder=folder,
        file=BakeoffFile.open(folder / "result.json"),
        budget_seconds=minutes * 60,
        share_seconds=max(1, int(minutes * 60 / bases)),
    )


def _arm(
    platform: "Platform",
    plan: _Plan,
    variant: "Workload",
    kind: BakeoffKind,
    on_progress: Progress,
) -> BakeoffArm:
    base = platform.base(variant)
    done = plan.file.find(base.digest, kind)
    if done is not None:
        on_progress(f"{variant.base_model} {kind}: measured before", 0, 0)
        return done
    size = sum(file.size for file in base.manifest.files) if base.manifest else 0
    blank = BakeoffArm(variant.base_model, base.digest, kind, base_bytes=size)
    if plan.is_spent:
        # Not kept: a larger budget measures it.
        return replace(blank, problem="the budget was spent before")
    earlier = next(
        (a.spent_seconds for a in plan.file.arms if (a.base_digest, a.kind) == (base.digest, kind)),
        0.0,
    )
    began = time.perf_counter()
    try:
        measured = _measured(platform, plan, variant, blank, on_progress)
    except InterruptedWorkError:
        raise
    except FlywheelError as error:
        measured = replace(blank, problem=error.message)
    spent = earlier + time.perf_counter() - began
    return plan.file.keep(replace(measured, spent_seconds=spent))


def _measured(
    platform: "Platform",
    plan: _Plan,
    variant: "Workload",
    blank: BakeoffArm,
    on_progress: Progress,
) -> BakeoffArm:
    from flywheel.evaluate.shots import plan_shots
    from flywheel.ports.model_server import BASE_RELEASE

    kind, server, codec = blank.kind, platform.server(variant), codec_of(platform, variant)
    if kind == "tuned":
        return _tuned(platform, plan, variant, blank, on_progress)
    if kind == "zero_shot":
        return _scored(platform, plan, variant, blank, BASE_RELEASE, on_progress)
    rules, left_out = resolve_few_shot(variant, platform.base(variant))
    if left_out is not None:
        return replace(blank, problem=left_out)
    shots = plan_shots(server, codec, plan.train, rules)
    if not shots.count:
        return replace(blank, problem=shots.note)
    return _scored(platform, plan, variant, blank, BASE_RELEASE, on_progress, shots.shots)


def _tuned(
    platform: "Platform",
    plan: _Plan,
    variant: "Workload",
    blank: BakeoffArm,
    on_progress: Progress,
) -> BakeoffArm:
    out = plan.folder / f"run-{blank.base_digest[:12]}"
    with _dataset(plan) as (folder, dataset_hash):
        spec = _spec(platform, plan, variant, folder, dataset_hash)
        _forget_other(spec, out)
        memory = 0

        def on_step(point: "TrainProgress") -> None:
            nonlocal memory
            memory = max(memory, point.memory_bytes)
            on_progress(
                f"{variant.base_model} tuned, loss {point.loss:.4f}", point.step, point.steps
            )

        result = platform.launcher.run(spec, out, on_progress=on_step)
    adapter = out / result.adapter
    verify_adapter(adapter, base_digest=spec.base_digest)
    server = platform.server(variant)
    server.load(spec.release, adapter)
    try:
        scored = _scored(platform, plan, variant, blank, spec.release, on_progress)
    finally:
        server.unload(spec.release)
    shutil.rmtree(out)
    return replace(
        scored,
        train_seconds=result.metrics.get("training_seconds"),
        train_bytes=memory or None,
    )


def _forget_other(spec: "TrainSpec", out: Path) -> None:
    # A training that ended before its adapter was measured, under another budget or version.
    from flywheel.train.export import finished

    try:
        finished(spec, out)
    except (ConfigurationError, IntegrityError):
        shutil.rmtree(out)


def _spec(
    platform: "Platform", plan: _Plan, variant: "Workload", folder: Path, dataset_hash: str
) -> "TrainSpec":
    from flywheel.ports.train_launcher import TrainSpec
    from flywheel.wiring import git_revision

    base, recipe = platform.base(variant), variant.training
    limit = min(recipe.timeout_seconds, plan.share_seconds)
    return TrainSpec(
        release=f"{variant.id}.bakeoff.{plan.folder.name}-{base.digest[:8]}",
        workload=variant,
        cycle="bakeoff",
        attempt=1,
        base_folder=base.folder.absolute(),
        base_digest=base.digest,
        surfaces=dict(codec_of(platform, variant).surfaces),
        dataset_folder=folder.absolute(),
        dataset_hash=dataset_hash,
        # Pairs of replaced answers are not split: a bake-off is about the supervised stage.
        recipe=recipe.model_copy(update={"timeout_seconds": limit, "preference": None}),
        seed=variant.seed,
        git_revision=git_revision(),
    )


@contextmanager
def _dataset(plan: _Plan) -> Iterator[tuple[Path, str]]:
    # The rows as a snapshot, for as long as a training reads them.
    folder = plan.folder / "rows"
    content = b"".join(json.dumps(row).encode() + b"\n" for row in plan.train)
    digest = hashlib.sha256(content).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / "train.jsonl", content)
        write_json(folder / MANIFEST, {"hash": digest, "files": {"train.jsonl": digest}})
        yield folder, digest
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _scored(
    platform: "Platform",
    plan: _Plan,
    variant: "Workload",
    blank: BakeoffArm,
    release: str,
    on_progress: Progress,
    shots: "Shots" = (),
) -> BakeoffArm:
    from flywheel.evaluate.metrics import percentile
    from flywheel.evaluate.suites import evaluate_arm

    name = f"{variant.base_model} {blank.kind}"
    cases: Sequence[CaseResult] = evaluate_arm(
        platform.server(variant),
        codec_of(platform, variant),
        plan.validation,
        suite="holdout",
        arm="few_shot" if blank.kind == "few_shot" else "base",
        release=release,
        shots=shots,
        on_progress=lambda done, total: on_progress(name, done, total),
    )
    seconds = [case.seconds for case in cases]
    return replace(
        blank,
        right=tuple(case.correct for case in cases),
        seconds_p50=percentile(seconds, 50),
        seconds_p95=percentile(seconds, 95),
        seconds_mean=fmean(seconds),
    )
