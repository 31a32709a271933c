"""Records what a training left: run in MLflow, release and attempt in the state."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.references import CandidateRef, Lineage
from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
from flywheel.release.registry import MlflowRegistry
from flywheel.state import Release, State
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload

__all__ = ["record_candidate", "task_digest"]


def record_candidate(
    state: State,
    registry: MlflowRegistry,
    spec: TrainSpec,
    result: TrainResult,
    out: Path,
    *,
    progress: Sequence[TrainProgress] = (),
) -> Release:
    """Keep a finished training as a candidate; called again it changes nothing.

    Args:
        state: knows the cycle and attempt of ``spec``.
        registry: gets the run.
        spec: what was trained.
        result: as the launcher verified it.
        out: the trainer's output folder.
        progress: the loss curve.

    Raises:
        RefusedError: the release name was used for another adapter.
    """
    run_id = registry.log_training(spec, result, out / result.adapter, progress)
    with state.transaction():
        recorded = [
            item for item in state.releases.of(spec.workload.id) if item.release == spec.release
        ]
        release = state.releases.record(
            spec.release,
            cycle=CycleRef(spec.workload.id, spec.cycle),
            attempt=spec.attempt,
            manifest_digest=result.manifest_digest,
            adapter=str((out / result.adapter).absolute()),
            dataset_hash=spec.dataset_hash,
            lineage=Lineage(
                dataset_folder=spec.dataset_folder.absolute(),
                base_digest=spec.base_digest,
                task_digest=task_digest(spec.workload),
                taxonomy_version=spec.workload.taxonomy_version,
                run_id=run_id,
                metrics=result.metrics,
            ),
        )
        candidate = CandidateRef(
            release=spec.release,
            manifest_digest=result.manifest_digest,
            dataset_hash=spec.dataset_hash,
            run_id=run_id,
        )
        state.attempts.record(release.cycle_ref, spec.attempt, candidate)
        if not recorded:
            details = {**candidate.to_facts(), "attempt": spec.attempt, "metrics": result.metrics}
            state.audit.append("training.done", str(release.cycle_ref), SYSTEM, details)
    return release


def task_digest(workload: Workload) -> str:
    """Digest of what an application relies on: the task and its schema, without the labels."""
    text = canonical_json(workload.task.model_dump(mode="json", by_alias=True))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
