"""`upgrade_state`, `move_state` and `move_registry`: a deployment's stores, brought elsewhere or up to date.

The place that something is copied from stays as it is. Every function is safe to repeat.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.settings import Settings, make_private

if TYPE_CHECKING:
    from flywheel.state.copy import StateCopy
    from flywheel.wiring import Platform

__all__ = ["RegistryCopy", "SchemaUpgrade", "move_registry", "move_state", "upgrade_state"]


@dataclass(frozen=True)
class SchemaUpgrade:
    """The state's schema before (None: there was none) and after."""

    database: str
    had: str | None
    has: str


@dataclass(frozen=True)
class RegistryCopy:
    """What went to another MLflow: model versions by workload and release, None: never registered."""

    source: str
    target: str
    versions: Mapping[str, Mapping[str, str | None]]


def upgrade_state(settings: Settings) -> SchemaUpgrade:
    """Bring the state's schema to this version of Flywheel; nothing happens where it is so."""
    from flywheel.clock import SystemClock
    from flywheel.state import State

    make_private(settings.home, settings)
    state = State(settings.state_database, SystemClock(), home=settings.home.absolute())
    try:
        had, has = state.migrate()
    finally:
        state.close()
    return SchemaUpgrade(state.place, had, has)


def move_state(settings: Settings, *, source: str | None, target: str | None) -> "StateCopy":
    """Copy the whole state into an empty database.

    Args:
        settings: of the deployment.
        source: URL; default: SQLite in the home.
        target: URL; default: the state's database as the settings name it.

    Raises:
        NotFoundError: there is no state at the source.
        RefusedError: the target holds a state already.
        ConcurrencyError: a process is at work on the source.
        IntegrityError: the source's audit is broken, or the copy is not the same; nothing is kept.
    """
    from flywheel.state.copy import copy_state

    return copy_state(source or settings.embedded_state, target or settings.state_database)


def move_registry(
    platform: "Platform",
    *,
    source: str | None,
    on_begin: Callable[[str, str], None] = lambda *_: None,
    on_workload: Callable[[str, Mapping[str, str | None]], None] = lambda *_: None,
) -> RegistryCopy:
    """Copy every workload's runs, model versions and aliases to the MLflow of the settings.

    Args:
        platform: the deployment; its state learns the new names.
        source: URI; default: SQLite in the home.
        on_begin: called with the names of both places.
        on_workload: called after each workload with the versions of its releases.
    """
    from flywheel.release.registry import MlflowRegistry
    from flywheel.release.registry_copy import copy_registry

    artifacts = platform.home / "mlflow" / "artifacts"
    old = MlflowRegistry(source or platform.settings.embedded_mlflow, artifacts)
    new = platform.registry
    on_begin(old.place.name, new.place.name)
    versions: dict[str, Mapping[str, str | None]] = {}
    for workload_id in platform.workloads:
        versions[workload_id] = copy_registry(platform.state, old, new, workload_id)
        on_workload(workload_id, versions[workload_id])
    return RegistryCopy(old.place.name, new.place.name, versions)
