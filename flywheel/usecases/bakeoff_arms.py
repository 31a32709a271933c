"""`measure_arm`: one way of answering with one base, measured on the validation rows of a bake-off."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from flywheel.artifacts.adapter_folder import verify_adapter
from flywheel.artifacts.bakeoff_result import BakeoffArm, BakeoffFile
from flywheel.artifacts.snapshot import MANIFEST
from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.io.atomic import write_bytes, write_json
from flywheel.usecases.cycle import codec_of
from flywheel.usecases.without_training import resolve_few_shot

if TYPE_CHECKING:
    from flywheel.evaluate.suites import CaseResult, Rows
    from flywheel.ports.model_server import Shots
    from flywheel.ports.train_launcher import TrainProgress, TrainSpec
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["BakeoffPlan", "Progress", "measure_arm"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BakeoffPlan:
    """One bake-off: its rows, where its parts lie, and how long all of it and a training may take."""

    train: "Rows"
    validation: "Rows"
    folder: Path
    file: BakeoffFile
    budget_seconds: float
    share_seconds: int

    @property
    def is_spent(self) -> bool:
        """Whether all tries so far have taken the whole budget."""
        return self.file.spent_seconds >= self.budget_seconds


def measure_arm(
    platform: "Platform",
    plan: BakeoffPlan,
    variant: "Workload",
    blank: BakeoffArm,
    on_progress: Progress,
) -> BakeoffArm:
    """Measure one arm on the validation rows; where it cannot be, the arm says why.

    Args:
        platform: the deployment.
        plan: its rows, and where a training may write.
        variant: the workload on the arm's base.
        blank: the arm without figures.
        on_progress: told what is done, how much of it, and of how much.

    Raises:
        InterruptedWorkError: the training was cut off; it goes on from its last checkpoint.
        FlywheelError: the training failed, or took longer than its share.
    """
    from flywheel.evaluate.shots import plan_shots
    from flywheel.ports.model_server import BASE_RELEASE

    on_progress(f"{variant.base_model} {blank.kind}, loading the base model", 0, 0)
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
    plan: BakeoffPlan,
    variant: "Workload",
    blank: BakeoffArm,
    on_progress: Progress,
) -> BakeoffArm:
    out = plan.folder / f"run-{blank.base_digest[:12]}"
    with _dataset(plan) as (folder, dataset_hash):
        on_progress(f"{variant.base_model} tuned, starting the trainer", 0, 0)
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
    platform: "Platform", plan: BakeoffPlan, variant: "Workload", folder: Path, dataset_hash: str
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
def _dataset(plan: BakeoffPlan) -> Iterator[tuple[Path, str]]:
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
    plan: BakeoffPlan,
    variant: "Workload",
    blank: BakeoffArm,
    release: str,
    on_progress: Progress,
    shots: "Shots" = (),
) -> BakeoffArm:
    from flywheel.evaluate.metrics import measure_texts, percentile
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
    seconds, texts = [case.seconds for case in cases], measure_texts(cases)
    return replace(
        blank,
        right=tuple(case.correct for case in cases),
        scores=tuple(case.scores.value for case in cases if case.scores is not None),
        rules_kept=None if texts is None else texts.all_rules,
        seconds_p50=percentile(seconds, 50),
        seconds_p95=percentile(seconds, 95),
        seconds_mean=fmean(seconds),
    )
