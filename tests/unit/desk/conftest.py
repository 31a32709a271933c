"""A release desk for every test, on a registry in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.desk_world import DeskWorld
from tests.fakes.registry import MemoryRegistry


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    """Return an empty registry."""
    return MemoryRegistry(tmp_path)


@pytest.fixture
def desk(tmp_path: Path, registry: MemoryRegistry) -> Iterator[DeskWorld]:
    """Return a desk with people and no cycle yet."""
    world = DeskWorld(tmp_path, registry)
    world.add_people()
    yield world
    world.close()
