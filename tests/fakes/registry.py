"""`MemoryRegistry`: runs, versions and aliases in memory, for tests about other things than MLflow.

`tests/contract/test_registry.py` holds it to what the real one does.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flywheel.ports.train_launcher import TrainProgress, TrainResult, TrainSpec
from flywheel.release.registry import RELEASE_TAG, MlflowRegistry

__all__ = ["MemoryRegistry"]


class MemoryRegistry(MlflowRegistry):
    """A registry that keeps what it is given and opens no database.

    Args:
        folder: named in errors alone.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(f"sqlite:///{folder / 'none.db'}", folder)
        self._runs: dict[tuple[str, str], str] = {}
        self._made: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._pointers: dict[str, dict[str, str]] = defaultdict(dict)

    def log_training(
        self,
        spec: TrainSpec,
        result: TrainResult,  # noqa: ARG002 - as the real one
        adapter: Path,
        progress: Sequence[TrainProgress],  # noqa: ARG002 - (as above)
    ) -> str:
        """Keep one run for each release."""
        run = self._runs.setdefault((spec.workload.id, spec.release), f"run{len(self._runs)}")
        assert (adapter / "manifest.json").is_file()
        return run

    def register(
        self,
        workload_id: str,
        *,
        release: str,
        run_id: str,
        adapter: Path,  # noqa: ARG002 - (as above)
        texts: Mapping[str, str],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Keep one version for each release."""
        existing = self.version_of(workload_id, release)
        if existing is not None:
            return existing
        kept = {"run": run_id, "tags": {**tags, RELEASE_TAG: release}, "texts": dict(texts)}
        self._made[workload_id].append(kept | {"description": description})
        return str(len(self._made[workload_id]))

    def versions(self, workload_id: str) -> dict[str, str]:
        """Return the versions by the release that their tag names."""
        return {
            version["tags"][RELEASE_TAG]: str(number)
            for number, version in enumerate(self._made[workload_id], start=1)
            if RELEASE_TAG in version["tags"]
        }

    def tags_of(self, workload_id: str, version: str) -> dict[str, str]:
        """Return the tags as they were given."""
        return dict(self._made[workload_id][int(version) - 1]["tags"])

    def written_texts(self, workload_id: str, run_id: str) -> dict[str, str]:
        """Return files, descriptions and tags of a run's versions."""
        texts: dict[str, str] = {}
        for number, version in enumerate(self._made[workload_id], start=1):
            if version["run"] == run_id:
                shown = [version["description"], json.dumps(version["tags"])]
                texts |= {f"version {number}": "\n".join(shown), **version["texts"]}
        return texts

    def aliases(self, workload_id: str) -> dict[str, str]:
        """Return a copy of the aliases."""
        return dict(self._pointers[workload_id])

    def set_alias(self, workload_id: str, alias: str, version: str | None) -> None:
        """Move, set or take away an alias."""
        if version is None:
            self._pointers[workload_id].pop(alias, None)
        else:
            self._pointers[workload_id][alias] = version

    def remembered(self) -> tuple[Any, ...]:
        """Return all that it was given, for `remember` of another one."""
        return self._runs, self._made, self._pointers

    def remember(self, remembered: tuple[Any, ...]) -> None:
        """Go on with what another one was given."""
        self._runs, self._made, self._pointers = remembered

    def lose(self, workload_id: str, version: str) -> None:
        """Forget a version, as if somebody had deleted it in MLflow."""
        self._made[workload_id][int(version) - 1] |= {"run": "", "tags": {}}
        self._pointers[workload_id] = {
            alias: other for alias, other in self._pointers[workload_id].items() if other != version
        }
