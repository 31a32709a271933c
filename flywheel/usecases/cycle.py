"""One cycle from its dataset to its gate; every step finds what an earlier try left behind."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.local_copy import bring_here
from flywheel.artifacts.references import SnapshotRef
from flywheel.errors import DataError, TerminalError
from flywheel.usecases.published_training import bring_recorded_training, publish_training
from flywheel.usecases.served_bases import require_served
from flywheel.workload.model import TrainingRecipe, Workload

if TYPE_CHECKING:
    from datetime import datetime

    from flywheel.artifacts.gate_report import GateReport
    from flywheel.artifacts.references import CandidateRef
    from flywheel.artifacts.snapshot import Snapshot
    from flywheel.dataset.build import Champion
    from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
    from flywheel.state import Attempt, Cycle, Release
    from flywheel.wiring import Platform
    from flywheel.workload.answers import AnswerCodec

__all__ = [
    "assemble_dataset",
    "dataset_of",
    "judge_candidate",
    "open_cycle",
    "train_candidate",
]

# The tables whose values become training rows: a damaged file of these makes no dataset.
_JUDGMENTS = ("review_items", "annotations", "corrections")


def open_cycle(  # noqa: PLR0913 - a cycle is all of this
    platform: "Platform",
    workload: Workload,
    *,
    trigger: str,
    reason: str,
    opened_by: str = SYSTEM,
    trigger_key: str | None = None,
    numbers: "Mapping[str, Any] | None" = None,
    watermark: "datetime | None" = None,
) -> "Cycle":
    """Open a cycle on the data up to a moment; later edits of the workload's file do not reach it.

    Args:
        platform: holds the state.
        workload: whose cycle it is, as its file says now.
        trigger: calendar, drift, quality, volume, manual or simulation.
        reason: one sentence for people.
        opened_by: a person, or the system.
        trigger_key: what makes two evaluations the same trigger; by default the period for the
            calendar and the moment for everything else.
        numbers: what the trigger measured.
        watermark: moment up to which data counts; default: now.

    Raises:
        RefusedError: another cycle of the workload is open.
    """
    return platform.state.cycles.open(
        workload,
        trigger=trigger,
        trigger_key=trigger_key,
        opened_by=opened_by,
        reason=reason,
        watermark=watermark or platform.clock.now(),
        snapshot=workload.model_dump(mode="json", by_alias=True),
        numbers=numbers,
    )


def assemble_dataset(platform: "Platform", cycle: CycleRef) -> "Snapshot":
    """Build the cycle's snapshot; data that forbids it stops the cycle with the reason."""
    from flywheel.dataset.build import build_dataset
    from flywheel.lake.check import require_unchanged
    from flywheel.usecases.erasing.publishing import publish_dataset

    require_unchanged(platform.lake, _JUDGMENTS)
    opened = platform.state.cycles.get(cycle).opened
    attempt = _attempt(platform, cycle)
    promoted = [
        r for r in platform.state.releases.of(cycle.workload_id) if r.promoted_at is not None
    ]
    try:
        snapshot = build_dataset(
            platform.lake,
            opened,
            home=platform.home,
            golden_from=_first_promoted_dataset(promoted),
            holdout_since=max((r.promoted_at for r in promoted if r.promoted_at), default=None),
            promoted=[release.cycle for release in promoted],
            champion=_champion(platform, cycle.workload_id, promoted),
            hash_key=platform.settings.hash_key.get_secret_value(),
            now=platform.clock.now(),
        )
    except DataError as error:
        _stop(platform, attempt, error)
        raise
    snapshot = publish_dataset(platform, snapshot)
    dataset = SnapshotRef(snapshot.folder.absolute(), snapshot.hash, snapshot.counts)
    platform.state.attempts.record(attempt.cycle_ref, attempt.number, dataset)
    return snapshot


def train_candidate(
    platform: "Platform",
    cycle: CycleRef,
    *,
    on_progress: "Callable[[TrainProgress], None]",
    on_notice: Callable[[str], None] = lambda _: None,
) -> "TrainResult":
    """Train the cycle's adapter through the launcher, keep it as a candidate and log it.

    Raises:
        UnservedBaseError: no model server answers on a base that the gate would ask.
    """
    from flywheel.release.candidate import record_candidate
    from flywheel.train.reporting import read_progress

    state = platform.state
    workload = state.cycles.get(cycle).opened.workload
    platform.bases.renew(workload)
    require_served(platform, workload, on_away=on_notice)
    spec = training_spec(platform, cycle)
    bring_here(spec.dataset_folder)  # the trainer is another process, and looks in the home alone
    attempt = _attempt(platform, cycle)
    out = run_folder(platform, cycle, attempt.number)
    bring_recorded_training(platform, spec.release, out)
    state.cycles.set_status(cycle, "training", f"training {spec.release}")
    try:
        result = platform.launcher.run(spec, out, on_progress=on_progress, on_notice=on_notice)
    except TerminalError as error:
        _stop(platform, attempt, error)
        raise
    on_notice("logging the candidate to MLflow")
    # From the folder, not from progress events: a repeat finds the training done and gets none.
    curve = read_progress(out)
    publish_training(platform, result, out)
    record_candidate(state, platform.registry, spec, result, out, progress=curve)
    return result


def judge_candidate(
    platform: "Platform",
    cycle: CycleRef,
    *,
    again: bool = False,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> "GateReport":
    """Measure every arm and decide the gate of the cycle's candidate.

    A verdict that still stands is returned as it is, unless it is to be measured ``again``.
    A gate that waited for judgments looks a second time once they are in, at the same candidate.
    """
    from flywheel.evaluate.run import run_gate
    from flywheel.usecases.second_look import second_look_rows
    from flywheel.usecases.without_training import resolve_few_shot

    opened = platform.state.cycles.get(cycle).opened
    attempt = _attempt(platform, cycle)
    few_shot, left_out = resolve_few_shot(opened.workload, platform.base(opened.workload))
    return run_gate(
        platform.lake,
        platform.state,
        platform.server(opened.workload),
        opened,
        attempt=attempt.number,
        candidate=_candidate(attempt).release,
        dataset=dataset_of(attempt).folder,
        codec=codec_of(platform, opened.workload),
        folder=run_folder(platform, cycle, attempt.number),
        served_precision=platform.served_precision(opened.workload),
        directed=second_look_rows(platform, cycle),
        few_shot=few_shot,
        notes=[left_out] if left_out else [],
        publish=platform.artifacts.publish,
        again=again,
        on_progress=on_progress,
    )


def training_spec(platform: "Platform", cycle: CycleRef) -> "TrainSpec":
    """Write down everything the trainer needs; the release is named by its digest."""
    from flywheel.ports.train_launcher import TrainSpec
    from flywheel.wiring import git_revision

    workload = platform.state.cycles.get(cycle).opened.workload
    attempt = _attempt(platform, cycle)
    base = platform.base(workload)
    dataset = dataset_of(attempt)
    identity = [
        cycle.workload_id,
        cycle.name,
        attempt.number,
        dataset.hash,
        base.digest,
        workload.seed,
    ]
    identity.append(_recipe_text(workload.training))
    digest = hashlib.sha256("\n".join(map(str, identity)).encode()).hexdigest()[:10]
    return TrainSpec(
        release=f"{cycle.workload_id}.{cycle.name}.{digest}",
        workload=workload,
        cycle=cycle.name,
        attempt=attempt.number,
        base_folder=base.folder.absolute(),
        base_digest=base.digest,
        surfaces=dict(codec_of(platform, workload).surfaces),
        dataset_folder=dataset.folder,
        dataset_hash=dataset.hash,
        recipe=workload.training,
        seed=workload.seed,
        git_revision=git_revision(),
    )


def _recipe_text(recipe: "TrainingRecipe") -> str:
    # Keys that came later count where they are set: a recipe without them keeps its name.
    values, given = recipe.model_dump(mode="json"), recipe.model_dump(exclude_defaults=True)
    for key in {"balance", "search", "workers"} - given.keys():
        del values[key]
    if recipe.preference is not None:
        stated = recipe.preference.model_dump(exclude_defaults=True)
        for key in {"method", "minimum_thumbs"} - stated.keys():
            del values["preference"][key]
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def codec_of(platform: "Platform", workload: Workload) -> "AnswerCodec":
    """Return how the workload's base model writes answers."""
    return platform.base(workload).codec(workload)


def run_folder(platform: "Platform", cycle: CycleRef, attempt: int) -> Path:
    """Return the folder of one attempt: checkpoints, adapter, gate report."""
    return platform.home / "runs" / cycle.workload_id / cycle.name / str(attempt)


def _attempt(platform: "Platform", cycle: CycleRef) -> "Attempt":
    number = platform.state.cycles.get(cycle).attempt
    return platform.state.cycles.attempt(cycle, number)


def _stop(platform: "Platform", attempt: "Attempt", error: TerminalError) -> None:
    # A person may have started another attempt meanwhile: this one's failure does not end it.
    state = platform.state
    with state.transaction():
        if state.cycles.get(attempt.cycle_ref).attempt == attempt.number:
            state.cycles.set_status(attempt.cycle_ref, "stopped", error.message)


def dataset_of(attempt: "Attempt") -> SnapshotRef:
    """Return the snapshot of an attempt; refuse where it was not built yet."""
    return attempt.dataset or _refuse(attempt, "dataset")


def _candidate(attempt: "Attempt") -> "CandidateRef":
    return attempt.candidate or _refuse(attempt, "release")


def _refuse(attempt: "Attempt", missing: str) -> NoReturn:
    raise DataError(
        f"Attempt {attempt.number} of cycle {attempt.cycle} has no {missing} yet.",
        next_step="materialize the asset before this one",
    )


def _champion(
    platform: "Platform", workload_id: str, promoted: "Sequence[Release]"
) -> "Champion | None":
    from flywheel.dataset.build import Champion

    name = platform.state.routes.champion(workload_id)
    return next(
        (
            Champion(release.release, release.promoted_at, release.dataset_hash)
            for release in promoted
            if release.release == name and release.promoted_at is not None
        ),
        None,
    )


def _first_promoted_dataset(promoted: "Sequence[Release]") -> Path | None:
    # The golden set freezes at the first promotion.
    return promoted[0].lineage.dataset_folder if promoted else None
