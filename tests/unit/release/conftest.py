"""A world of its own for every test, on a registry in memory or on MLflow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.release.registry import MlflowRegistry
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld


@pytest.fixture
def registry(tmp_path: Path) -> MlflowRegistry:
    """Return a registry in memory; a file about what MLflow shows overrides it."""
    return MemoryRegistry(tmp_path)


@pytest.fixture
def world(tmp_path: Path, registry: MlflowRegistry) -> Iterator[ReleaseWorld]:
    """Return a fresh workload with its own state and lake."""
    made = ReleaseWorld(tmp_path, registry)
    yield made
    made.close()
