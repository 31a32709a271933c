"""A world of its own for every test that runs a whole gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.release.registry import MlflowRegistry
from tests.fakes.release_world import ReleaseWorld


@pytest.fixture
def world(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleaseWorld]:
    """Return a fresh workload on the session's registry."""
    folder = tmp_path_factory.getbasetemp() / "mlflow"  # made once: 2 s
    registry = MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    made = ReleaseWorld(tmp_path, registry)
    yield made
    made.close()
