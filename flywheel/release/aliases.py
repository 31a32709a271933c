"""MLflow's aliases as a projection of the route table, synced again at every occasion."""

from flywheel.errors import NotFoundError
from flywheel.release.registry import MlflowRegistry
from flywheel.state import State

__all__ = ["sync_aliases"]


def sync_aliases(state: State, registry: MlflowRegistry, workload_id: str) -> dict[str, str]:
    """Make ``champion`` and ``previous`` say what the route table says, and return them.

    An alias whose release is the base itself is taken away. Call it under the workload's lease.
    """
    known = {release.release: release for release in state.releases(workload_id)}
    champion = known.get(state.champion(workload_id))
    previous = known.get(champion.replaced or "") if champion else None
    wanted = {}
    for alias, release in (("champion", champion), ("previous", previous)):
        version = None
        if release is not None:
            version = registry.version_of(workload_id, release.release)
            if version is None:
                raise NotFoundError(
                    f"MLflow has no model version of {release.release}.",
                    next_step="restore MLflow's database: the state says it was registered",
                )
            wanted[alias] = version
        registry.set_alias(workload_id, alias, version)
    return wanted
