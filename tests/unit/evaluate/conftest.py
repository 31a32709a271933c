"""A world of its own for every test that runs a whole gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ReleaseWorld]:
    """Return a fresh workload."""
    made = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path))
    yield made
    made.close()
