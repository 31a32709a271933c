"""MLflow as run log and model registry: runs, model versions, aliases.

Everything here can be repeated: a run and a model version are found again by the release's name.
Adapters are plain artifacts, never pickled models.
"""

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.adapter_folder import MANIFEST
from flywheel.errors import StorageError, UnavailableError
from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["MlflowRegistry"]

_SWITCHES = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_RELEASE_TAG = "flywheel.release"
_BATCH = 900  # MLflow takes up to 1,000 values in one call


class MlflowRegistry:
    """Runs and model versions of all workloads.

    Args:
        uri: tracking and registry URI, such as ``sqlite:////folder/mlflow.db``.
        artifacts: folder of the runs' files.
    """

    def __init__(self, uri: str, artifacts: Path) -> None:
        self._uri = uri
        self._artifacts = artifacts.absolute()

    def log_training(
        self, spec: TrainSpec, result: TrainResult, adapter: Path, progress: Sequence[TrainProgress]
    ) -> str:
        """Log one training with its parameters, curve, lineage and manifest; return the run id."""
        with _translated():
            known = self._find_run(spec.workload.id, spec.release)
            if known is not None and known.info.status == "FINISHED":
                return str(known.info.run_id)
            run = known or self._client.create_run(
                self._experiment(spec.workload.id),
                run_name=spec.release,
                tags=_lineage(spec, result),
            )
            run_id = str(run.info.run_id)
            self._log_values(run_id, spec, result, progress)
            self._client.log_artifact(run_id, str(adapter / MANIFEST))
            self._client.set_terminated(run_id)
            return run_id

    def register(
        self,
        workload_id: str,
        *,
        release: str,
        run_id: str,
        adapter: Path,
        texts: Mapping[str, str],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Register an adapter as a model version and return its number; once per release.

        Args:
            workload_id: name of the registered model.
            release: name of the release.
            run_id: the training's run, which keeps the files.
            adapter: adapter folder.
            texts: further files by name, such as the model card.
            tags: cycle, digests, semantic version ...
            description: Markdown shown beside the version.
        """
        with _translated():
            known = self.version_of(workload_id, release)
            if known is not None:
                return known
            self._client.log_artifacts(run_id, str(adapter), "adapter")
            for name, text in texts.items():
                self._client.log_text(run_id, text, name)
            self._registered_model(workload_id)
            version = self._client.create_model_version(
                workload_id,
                source=f"{self._client.get_run(run_id).info.artifact_uri}/adapter",
                run_id=run_id,
                tags={**tags, _RELEASE_TAG: release},
                description=description,
            )
            return str(version.version)

    def version_of(self, workload_id: str, release: str) -> str | None:
        """Return the model version of a release, None where it was not registered."""
        with _translated():
            for version in self._client.search_model_versions(f"name='{workload_id}'"):
                if version.tags.get(_RELEASE_TAG) == release:
                    return str(version.version)
        return None

    def tags_of(self, workload_id: str, version: str) -> dict[str, str]:
        """Return the tags of a model version."""
        with _translated():
            return dict(self._client.get_model_version(workload_id, version).tags)

    def aliases(self, workload_id: str) -> dict[str, str]:
        """Return the aliases of a workload's model and the versions they point at."""
        with _translated():
            if not self._client.search_registered_models(f"name='{workload_id}'"):
                return {}
            model = self._client.get_registered_model(workload_id)
            return {alias: str(version) for alias, version in model.aliases.items()}

    def set_alias(self, workload_id: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or take it away; call under the workload's lease."""
        present = self.aliases(workload_id).get(alias)
        if present == version:
            return
        with _translated():
            if version is None:
                self._client.delete_registered_model_alias(workload_id, alias)
            else:
                self._client.set_registered_model_alias(workload_id, alias, version)

    @cached_property
    def _client(self) -> "MlflowClient":
        with _loaded_mlflow():
            from mlflow import MlflowClient

            if self._uri.startswith("sqlite:///"):
                _prepare_sqlite(Path(self._uri.removeprefix("sqlite:///")))
            client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
        return client

    def _experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        location = (self._artifacts / name).as_uri()
        return str(self._client.create_experiment(name, artifact_location=location))

    def _registered_model(self, name: str) -> None:
        if not self._client.search_registered_models(f"name='{name}'"):
            self._client.create_registered_model(name)

    def _find_run(self, workload_id: str, release: str) -> Any:
        found = self._client.search_runs(
            [self._experiment(workload_id)], f"tags.`{_RELEASE_TAG}` = '{release}'", max_results=1
        )
        return found[0] if found else None

    def _log_values(
        self, run_id: str, spec: TrainSpec, result: TrainResult, progress: Sequence[TrainProgress]
    ) -> None:
        from mlflow.entities import Metric, Param

        recipe = spec.recipe.model_dump(mode="json") | {"seed": spec.seed}
        parameters = [Param(key, str(value)) for key, value in recipe.items()]
        metrics = [
            Metric(name, value, int(point.seconds * 1000), point.step)
            for point in progress
            for name, value in (
                ("loss", point.loss),
                ("tokens_per_second", point.tokens_per_second),
            )
        ]
        metrics += [Metric(f"final_{key}", value, 0, 0) for key, value in result.metrics.items()]
        self._client.log_batch(run_id, params=parameters)
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _lineage(spec: TrainSpec, result: TrainResult) -> dict[str, str]:
    return {
        _RELEASE_TAG: spec.release,
        "flywheel.workload": spec.workload.id,
        "flywheel.workload_revision": spec.workload.revision,
        "flywheel.taxonomy_version": str(spec.workload.taxonomy_version),
        "flywheel.cycle": spec.cycle,
        "flywheel.attempt": str(spec.attempt),
        "flywheel.dataset_hash": spec.dataset_hash,
        "flywheel.base_digest": spec.base_digest,
        "flywheel.manifest_digest": result.manifest_digest,
        "flywheel.git_revision": spec.git_revision,
        **{f"flywheel.with.{name}": version for name, version in result.versions.items()},
    }


def _prepare_sqlite(path: Path) -> None:
    # MLflow brings a new database through 68 migrations of several commits each. With a write-ahead
    # log that takes 2 s in place of 5, and the interface can read while a training is logged.
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").close()


@contextmanager
def _loaded_mlflow() -> Iterator[None]:
    # Read by MLflow at import; a deployment that set one of them is left alone.
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
    # A new database logs one line per migration.
    for name in ("alembic", "mlflow.store.db.utils", "mlflow.store.model_registry"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # MLflow 3.17 maps its tables in a way that SQLAlchemy 2.1 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextmanager
def _translated() -> Iterator[None]:
    with _loaded_mlflow():
        from mlflow.exceptions import MlflowException
    try:
        yield
    except MlflowException as error:
        if error.error_code in {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}:
            raise UnavailableError(
                f"MLflow did not answer: {error}", next_step="try again"
            ) from error
        raise StorageError(
            f"MLflow refused: {error}", next_step="look at the MLflow database and its folder"
        ) from error
