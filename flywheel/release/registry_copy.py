"""Bring a workload's runs and model versions to another MLflow, such as from a file to a server.

The old place stays as it is. Everything is found again by the release's name, so that a copy which
was cut off resumes where it stopped; the state learns of each release when it is whole.
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.artifacts.actors import SYSTEM
from flywheel.errors import ConfigurationError
from flywheel.release.aliases import sync_aliases
from flywheel.release.promotion import promotion_lease
from flywheel.release.registry import RELEASE_TAG, MlflowRegistry
from flywheel.release.uploads import upload_run
from flywheel.state import Release, State

if TYPE_CHECKING:
    from mlflow.entities import Run

__all__ = ["copy_registry"]

_BATCH = 900  # MLflow takes up to 1,000 values in one call
_OURS = "flywheel."


def copy_registry(
    state: State, old: MlflowRegistry, new: MlflowRegistry, workload_id: str
) -> dict[str, str | None]:
    """Copy what the old registry knows of a workload's releases, and point the state at it.

    Args:
        state: knows the releases; it gets their new run ids and version numbers.
        old: where they are.
        new: where they go; what is there already stays.
        workload_id: whose releases they are.

    Returns:
        The model version of each release that was copied, None for one never registered.

    Raises:
        ConfigurationError: both places are the same.
        UnavailableError: a place is away; the same call resumes where it stopped.
        IntegrityError: a file did not arrive as it was.
    """
    if old.place.uri == new.place.uri:
        raise ConfigurationError(
            f"Both registries are the same: {new.place.name}.",
            next_step="set FLYWHEEL_MLFLOW_URL to the new one (or FLYWHEEL_PROFILE=services)",
        )
    copied: dict[str, str | None] = {}
    with state.leases.hold(promotion_lease(workload_id), None, 3600.0):
        for release in state.releases.of(workload_id):
            runs = old.place.patiently(partial(old.runs_of, workload_id, release.release))
            if not runs:
                continue
            run_id = new.place.patiently(partial(_run, old, new, release, runs[0]))
            version = new.place.patiently(partial(_version, old, new, release, run_id))
            _tell(state, release, run_id, version, new)
            copied[release.release] = version
        sync_aliases(state, new, workload_id)
    return copied


def _run(old: MlflowRegistry, new: MlflowRegistry, release: Release, source: "Run") -> str:
    existing = new.runs_of(release.workload_id, release.release)
    if existing and existing[0].info.status == "FINISHED":
        return str(existing[0].info.run_id)
    tags = {name: value for name, value in source.data.tags.items() if name.startswith(_OURS)}
    run = existing[0] if existing else None
    run = run or new.client.create_run(
        new.experiment(release.workload_id),
        start_time=source.info.start_time,
        run_name=release.release,
        tags=tags,
    )
    run_id = str(run.info.run_id)
    _values(old, new, source, run_id)
    with tempfile.TemporaryDirectory(prefix="flywheel-registry-") as folder:
        old.client.download_artifacts(source.info.run_id, "", folder)
        upload_run(new.client, run_id, Path(folder))
    new.client.set_terminated(run_id, end_time=source.info.end_time)
    return run_id


def _values(old: MlflowRegistry, new: MlflowRegistry, source: "Run", run_id: str) -> None:
    from mlflow.entities import Param

    new.client.log_batch(run_id, params=[Param(k, v) for k, v in source.data.params.items()])
    metrics: list[Any] = []
    for name in source.data.metrics:
        metrics += old.client.get_metric_history(source.info.run_id, name)
    for start in range(0, len(metrics), _BATCH):
        new.client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _version(old: MlflowRegistry, new: MlflowRegistry, release: Release, run_id: str) -> str | None:
    existing = new.version_of(release.workload_id, release.release)
    number = old.version_of(release.workload_id, release.release)
    if existing is not None or number is None:
        return existing
    version = old.client.get_model_version(release.workload_id, number)
    new.make_model(release.workload_id)
    new.client.create_model_version(
        release.workload_id,
        source=f"{new.client.get_run(run_id).info.artifact_uri}/adapter",
        run_id=run_id,
        tags={**version.tags, RELEASE_TAG: release.release},
        description=version.description,
    )
    return new.version_of(release.workload_id, release.release)


def _tell(
    state: State, release: Release, run_id: str, version: str | None, new: MlflowRegistry
) -> None:
    if release.lineage.run_id == run_id and version in {None, release.model_version}:
        return
    lineage = replace(release.lineage, run_id=run_id)
    with state.transaction():
        state.releases.move(release.release, lineage, version)
        candidate = state.attempts.get(release.cycle_ref, release.attempt).candidate
        if candidate is not None and candidate.release == release.release:
            moved = replace(candidate, run_id=run_id)
            state.attempts.record(release.cycle_ref, release.attempt, moved)
        details = {"run_id": run_id} | ({"model_version": version} if version else {})
        details |= {"release": release.release, "registry": new.place.name}
        state.audit.append("registry.copied", str(release.cycle_ref), SYSTEM, details)
