"""A world of its own for every test, on a registry in memory or on MLflow."""

from collections.abc import Callable, Iterator
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


@pytest.fixture
def resumed(tmp_path: Path, filled_once: Callable[..., object]) -> Iterator[Callable[..., object]]:
    """Return a function that begins a world once for a file and goes on in a copy of its folder.

    Call it with a key, with what brings a new world so far, and with what its workload is made
    with; it returns the world and what that returned.
    """
    worlds: list[ReleaseWorld] = []

    def resume(
        key: str, begin: Callable[[ReleaseWorld], object], **changes: object
    ) -> tuple[ReleaseWorld, object]:
        def make() -> tuple[dict[str, object], object]:
            made = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path), **changes)
            result = begin(made)
            return made.leave(), result

        left, result = filled_once(key, make)  # type: ignore[misc]
        worlds.append(ReleaseWorld.resume(tmp_path, left))
        return worlds[-1], result

    yield resume
    for world in worlds:
        world.close()
