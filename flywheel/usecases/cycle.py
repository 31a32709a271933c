"""One cycle from its dataset to its gate; every step finds what an earlier try left behind."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import DataError, TerminalError
from flywheel.workload.model import Workload

if TYPE_CHECKING:
    from flywheel.artifacts.snapshot import Snapshot
    from flywheel.dataset.build import Champion
    from flywheel.evaluate.report import GateReport
    from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
    from flywheel.state import Attempt, Release
    from flywheel.wiring import Platform
    from flywheel.workload.answers import AnswerCodec

__all__ = [
    "assemble_dataset",
    "cycle_workload",
    "judge_candidate",
    "train_candidate",
]

# The tables whose values become training rows: a damaged file of these is no dataset.
_JUDGMENTS = ("review_items", "annotations", "corrections")


def cycle_workload(platform: "Platform", workload_id: str, cycle: str) -> Workload:
    """Return the workload as it was when the cycle was opened."""
    return Workload.model_validate(platform.state.cycles.get(workload_id, cycle).snapshot)


def assemble_dataset(platform: "Platform", workload_id: str, cycle: str) -> "Snapshot":
    """Build the cycle's snapshot; data that forbids it stops the cycle with the reason."""
    from flywheel.dataset.build import build_dataset
    from flywheel.lake.check import require_unchanged

    require_unchanged(platform.lake, _JUDGMENTS)
    workload = cycle_workload(platform, workload_id, cycle)
    attempt = _attempt(platform, workload_id, cycle)
    promoted = [r for r in platform.state.releases.of(workload_id) if r.promoted_at is not None]
    try:
        snapshot = build_dataset(
            platform.lake,
            workload,
            cycle=cycle,
            home=platform.home,
            golden_from=_first_promoted_dataset(promoted),
            holdout_since=max((r.promoted_at for r in promoted if r.promoted_at), default=None),
            promoted=[release.cycle for release in promoted],
            champion=_champion(platform, workload_id, promoted),
            hash_key=platform.settings.hash_key.get_secret_value(),
            now=platform.clock.now(),
        )
    except DataError as error:
        _stop(platform, attempt, error)
        raise
    platform.state.attempts.add_facts(
        workload_id,
        cycle,
        attempt.number,
        dataset_folder=str(snapshot.folder.absolute()),
        dataset_hash=snapshot.hash,
        dataset_counts=dict(snapshot.counts),
    )
    return snapshot


def train_candidate(
    platform: "Platform",
    workload_id: str,
    cycle: str,
    *,
    on_progress: "Callable[[TrainProgress], None]",
    on_notice: Callable[[str], None] = lambda _: None,
) -> "TrainResult":
    """Train the cycle's adapter through the launcher, keep it as a candidate and log it."""
    from flywheel.release.candidate import record_candidate
    from flywheel.train.reporting import read_progress

    state = platform.state
    spec = training_spec(platform, workload_id, cycle)
    attempt = _attempt(platform, workload_id, cycle)
    out = run_folder(platform, workload_id, cycle, attempt.number)
    state.cycles.set_status(workload_id, cycle, "training", f"training {spec.release}")
    try:
        result = platform.launcher.run(spec, out, on_progress=on_progress, on_notice=on_notice)
    except TerminalError as error:
        _stop(platform, attempt, error)
        raise
    # From the folder, not from what was told: a repeat finds the training done and is told nothing.
    curve = read_progress(out)
    record_candidate(state, platform.registry, spec, result, out, progress=curve)
    return result


def judge_candidate(
    platform: "Platform",
    workload_id: str,
    cycle: str,
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

    workload = cycle_workload(platform, workload_id, cycle)
    attempt = _attempt(platform, workload_id, cycle)
    facts = attempt.facts
    return run_gate(
        platform.lake,
        platform.state,
        platform.server(workload),
        workload,
        cycle=cycle,
        attempt=attempt.number,
        candidate=str(_fact(attempt, "release")),
        dataset=Path(str(facts["dataset_folder"])),
        codec=codec_of(platform, workload),
        folder=run_folder(platform, workload_id, cycle, attempt.number),
        directed=second_look_rows(platform, workload_id, cycle),
        again=again,
        on_progress=on_progress,
    )


def training_spec(platform: "Platform", workload_id: str, cycle: str) -> "TrainSpec":
    """Write down everything the trainer needs; the release is named by its digest."""
    from flywheel.ports.train_launcher import TrainSpec
    from flywheel.wiring import git_revision

    workload = cycle_workload(platform, workload_id, cycle)
    attempt = _attempt(platform, workload_id, cycle)
    base = platform.base(workload)
    dataset_hash = str(_fact(attempt, "dataset_hash"))
    told = [workload_id, cycle, attempt.number, dataset_hash, base.digest, workload.seed]
    told.append(workload.training.model_dump_json())
    digest = hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()[:10]
    return TrainSpec(
        release=f"{workload_id}.{cycle}.{digest}",
        workload=workload,
        cycle=cycle,
        attempt=attempt.number,
        base_folder=base.folder.absolute(),
        base_digest=base.digest,
        surfaces=dict(codec_of(platform, workload).surfaces),
        dataset_folder=Path(str(attempt.facts["dataset_folder"])),
        dataset_hash=dataset_hash,
        recipe=workload.training,
        seed=workload.seed,
        git_revision=git_revision(),
    )


def codec_of(platform: "Platform", workload: Workload) -> "AnswerCodec":
    """Return how the workload's base model writes answers."""
    from flywheel.workload.answers import AnswerCodec, assign_surfaces

    base = platform.base(workload)
    return AnswerCodec(workload, assign_surfaces(workload, base.surfaces, base.reserved))


def run_folder(platform: "Platform", workload_id: str, cycle: str, attempt: int) -> Path:
    """Return the folder of one attempt: checkpoints, adapter, gate report."""
    return platform.home / "runs" / workload_id / cycle / str(attempt)


def _attempt(platform: "Platform", workload_id: str, cycle: str) -> "Attempt":
    number = platform.state.cycles.get(workload_id, cycle).attempt
    return platform.state.cycles.attempt(workload_id, cycle, number)


def _stop(platform: "Platform", attempt: "Attempt", error: TerminalError) -> None:
    # A person may have started another attempt meanwhile: this one's failure does not end it.
    state = platform.state
    with state.transaction():
        if state.cycles.get(attempt.workload_id, attempt.cycle).attempt == attempt.number:
            state.cycles.set_status(attempt.workload_id, attempt.cycle, "stopped", error.message)


def _fact(attempt: "Attempt", name: str) -> object:
    if name not in attempt.facts:
        raise DataError(
            f"Attempt {attempt.number} of cycle {attempt.cycle} has no {name} yet.",
            next_step="materialize the asset before this one",
        )
    return attempt.facts[name]


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
    return Path(str(promoted[0].facts["dataset_folder"])) if promoted else None
