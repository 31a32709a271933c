"""MLflow as run log and model registry: runs, model versions, aliases.

Everything here can be repeated: a run and a model version are found again by the release's name.
Adapters are plain artifacts, never pickled models.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.artifacts.adapter_folder import MANIFEST
from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
from flywheel.release.artifact_places import relocate_artifacts
from flywheel.release.mlflow_calls import MlflowPlace
from flywheel.release.uploads import upload_adapter, upload_file, upload_texts

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["RELEASE_TAG", "MlflowRegistry"]

RELEASE_TAG = "flywheel.release"
_BATCH = 900  # MLflow takes up to 1,000 values in one call


class MlflowRegistry:
    """Runs and model versions of all workloads.

    Args:
        uri: tracking and registry URI: ``sqlite:////folder/mlflow.db``, or ``http(s)://host`` of a
            server, whose login comes from MLflow's own variables.
        artifacts: folder of the runs' files; a server keeps them itself.

    Raises:
        ConfigurationError: the URI holds a login.
    """

    def __init__(self, uri: str, artifacts: Path) -> None:
        self.place = MlflowPlace(uri)
        self._artifacts = artifacts.absolute()

    def log_training(
        self, spec: TrainSpec, result: TrainResult, adapter: Path, progress: Sequence[TrainProgress]
    ) -> str:
        """Log one training with its parameters, curve, lineage and manifest; return the run id.

        Raises:
            UnavailableError: MLflow is away; given again, it resumes where it stopped.
            IntegrityError: MLflow's copy of the manifest is not the manifest.
        """
        return self.place.patiently(lambda: self._log_training(spec, result, adapter, progress))

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

        The version is made last, of files that were read back and verified. For one that is there
        the words are written again: a release that a stage took back may be approved by another.

        Args:
            workload_id: name of the registered model.
            release: name of the release.
            run_id: the training's run, which keeps the files.
            adapter: adapter folder.
            texts: further files by name, such as the model card.
            tags: cycle, digests, semantic version ...
            description: Markdown shown beside the version.

        Raises:
            UnavailableError: MLflow is away; given again, it resumes where it stopped.
            IntegrityError: MLflow's copy of a file is not what was sent.
        """

        def once() -> str:
            existing = self._versions(workload_id).get(release)
            if existing is not None:
                upload_texts(self.client, run_id, texts)
                for tag, value in tags.items():
                    self.client.set_model_version_tag(workload_id, existing, tag, value)
                self.client.update_model_version(workload_id, existing, description)
                return existing
            upload_adapter(self.client, run_id, adapter, texts)
            self.make_model(workload_id)
            self.client.create_model_version(
                workload_id,
                source=f"{self.client.get_run(run_id).info.artifact_uri}/adapter",
                run_id=run_id,
                tags={**tags, RELEASE_TAG: release},
                description=description,
            )
            first, *doubles = self._numbers(workload_id)[release]
            for double in doubles:
                self.client.delete_model_version(workload_id, double)
            return first

        return self.place.patiently(once)

    def version_of(self, workload_id: str, release: str) -> str | None:
        """Return the model version of a release, None where it was not registered."""
        return self.versions(workload_id).get(release)

    def versions(self, workload_id: str) -> dict[str, str]:
        """Return the model version of every release that was registered, by its name."""
        return self.place.patiently(lambda: self._versions(workload_id))

    def tags_of(self, workload_id: str, version: str) -> dict[str, str]:
        """Return the tags of a model version."""
        return self.place.patiently(
            lambda: dict(self.client.get_model_version(workload_id, version).tags)
        )

    def tag_model(self, workload_id: str, tag: str, value: str) -> None:
        """Set a tag of a workload's registered model, which must be there."""
        self.place.patiently(lambda: self.client.set_registered_model_tag(workload_id, tag, value))

    def model_tags(self, workload_id: str) -> dict[str, str]:
        """Return the tags of a workload's registered model, none where there is no model."""

        def once() -> dict[str, str]:
            models = self.client.search_registered_models(f"name='{workload_id}'")
            return dict(models[0].tags) if models else {}

        return self.place.patiently(once)

    def written_texts(self, workload_id: str, run_id: str) -> dict[str, str]:
        """Return what MLflow shows of a run and its versions in words: files, descriptions, tags."""
        return self.place.patiently(lambda: self._written_texts(workload_id, run_id))

    def aliases(self, workload_id: str) -> dict[str, str]:
        """Return the aliases of a workload's model and the versions they point at."""
        return self.place.patiently(lambda: self._aliases(workload_id))

    def set_alias(self, workload_id: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or take it away; call under the workload's lease."""

        def once() -> None:
            current = self._aliases(workload_id).get(alias)
            if current == version:
                return
            if version is None:
                self.client.delete_registered_model_alias(workload_id, alias)
            else:
                self.client.set_registered_model_alias(workload_id, alias, version)

        self.place.patiently(once)

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's own client, for what is asked nowhere else (see ``registry_copy``)."""
        if self.place.uri.startswith("sqlite:///"):
            relocate_artifacts(Path(self.place.uri.removeprefix("sqlite:///")), self._artifacts)
        return self.place.connect()

    def _written_texts(self, workload_id: str, run_id: str) -> dict[str, str]:
        values = self.client.get_run(run_id).data
        texts = {"tags and parameters": json.dumps([values.tags, values.params])}
        for version in self.client.search_model_versions(f"name='{workload_id}'"):
            if version.run_id == run_id:
                shown = [version.description or "", json.dumps(dict(version.tags))]
                texts[f"version {version.version}"] = "\n".join(shown)
        with tempfile.TemporaryDirectory(prefix="flywheel-texts-") as folder:
            for file in self.client.list_artifacts(run_id):  # the adapter lies in a folder
                if not file.is_dir:
                    copy = self.client.download_artifacts(run_id, file.path, folder)
                    texts[file.path] = Path(copy).read_text(encoding="utf-8", errors="replace")
        return texts

    def _aliases(self, workload_id: str) -> dict[str, str]:
        models = self.client.search_registered_models(f"name='{workload_id}'")
        aliases = models[0].aliases if models else {}
        return {alias: str(version) for alias, version in aliases.items()}

    def _versions(self, workload_id: str) -> dict[str, str]:
        # A request that timed out may be carried out all the same, and then be made again: the
        # lowest number counts, in whatever order they are found.
        return {release: numbers[0] for release, numbers in self._numbers(workload_id).items()}

    def _numbers(self, workload_id: str) -> dict[str, list[str]]:
        # The versions of each release, lowest number first.
        numbers = defaultdict(list)
        versions = self.client.search_model_versions(f"name='{workload_id}'")
        for version in sorted(versions, key=lambda one: int(one.version)):
            release = version.tags.get(RELEASE_TAG)
            if release is not None:
                numbers[release].append(str(version.version))
        return numbers

    def experiment(self, name: str) -> str:
        """Return the id of a workload's experiment, which is made the first time."""
        existing = self.client.get_experiment_by_name(name)
        if existing is not None:
            return str(existing.experiment_id)
        # A server hands out places of its own, which every client can reach.
        location = None if self.place.is_remote else (self._artifacts / name).as_uri()
        return str(self.client.create_experiment(name, artifact_location=location))

    def make_model(self, name: str) -> None:
        """Make a workload's registered model where there is none."""
        if not self.client.search_registered_models(f"name='{name}'"):
            self.client.create_registered_model(name)

    def runs_of(self, workload_id: str, release: str) -> list[Any]:
        """Return the runs of a release, the one that counts first, doubles behind it."""
        runs = self.client.search_runs(
            [self.experiment(workload_id)],
            f"tags.`{RELEASE_TAG}` = '{release}'",
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        )
        return sorted(runs, key=lambda run: run.info.status != "FINISHED")

    def _log_training(
        self, spec: TrainSpec, result: TrainResult, adapter: Path, progress: Sequence[TrainProgress]
    ) -> str:
        existing = self.runs_of(spec.workload.id, spec.release)
        run = (
            existing[0]
            if existing
            else self.client.create_run(
                self.experiment(spec.workload.id),
                run_name=spec.release,
                tags=_lineage(spec, result),
            )
        )
        run_id = str(run.info.run_id)
        if run.info.status != "FINISHED":
            self._log_values(run_id, spec, result, progress)
            upload_file(self.client, run_id, adapter / MANIFEST)
            self.client.set_terminated(run_id)
        for double in existing[1:]:
            self.client.delete_run(double.info.run_id)
        return run_id

    def _log_values(
        self, run_id: str, spec: TrainSpec, result: TrainResult, progress: Sequence[TrainProgress]
    ) -> None:
        from mlflow.entities import Metric, Param

        recipe = spec.recipe.model_dump(mode="json") | {"seed": spec.seed}
        parameters = [Param(key, str(value)) for key, value in recipe.items()]
        metrics = [
            Metric(name, value, int(point.seconds * 1000), point.step)
            for point in progress
            for name, value in _curve(point).items()
        ]
        metrics += [Metric(f"final_{key}", value, 0, 0) for key, value in result.metrics.items()]
        self.client.log_batch(run_id, params=parameters)
        for start in range(0, len(metrics), _BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _curve(point: TrainProgress) -> dict[str, float]:
    # The losses of two stages are not one curve.
    loss = "loss" if point.stage == "sft" else f"{point.stage}_loss"
    metrics = {loss: point.loss, "tokens_per_second": point.tokens_per_second}
    metrics["memory_bytes"] = float(point.memory_bytes)
    return metrics | {f"rewards_{name}": value for name, value in point.rewards.items()}


def _lineage(spec: TrainSpec, result: TrainResult) -> dict[str, str]:
    return {
        RELEASE_TAG: spec.release,
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
