"""MLflow's aliases as a projection of the route table, synced again at every occasion."""

from flywheel.errors import ConcurrencyError, NotFoundError
from flywheel.release.registry import MlflowRegistry
from flywheel.state import State

__all__ = ["ALIASES", "alias_differences", "sync_aliases"]

ALIASES = ("champion", "previous")
_ROUNDS = 3


def sync_aliases(state: State, registry: MlflowRegistry, workload_id: str) -> dict[str, str]:
    """Make ``champion`` and ``previous`` say what the route table says, and return them.

    An alias whose release is the base itself is taken away. Call it under the workload's lease.

    Raises:
        NotFoundError: MLflow lacks a version that the state says was registered.
        ConcurrencyError: the champion changed again and again meanwhile.
    """
    for _ in range(_ROUNDS):
        champion = state.routes.champion(workload_id)
        wanted = _wanted(state, registry, workload_id)
        for alias in ALIASES:
            registry.set_alias(workload_id, alias, wanted.get(alias))
        # MLflow knows no fencing tokens: one who was frozen here and lost the lease would write
        # what was so then. It looks again, and mends what it wrote.
        if state.routes.champion(workload_id) == champion:
            return wanted
    raise ConcurrencyError(
        f"The champion of {workload_id} changes while its aliases are set.", next_step="try again"
    )


def alias_differences(
    state: State, registry: MlflowRegistry, workload_id: str
) -> dict[str, tuple[str | None, str | None]]:
    """Return the aliases that somebody moved: the version each should name, and does name."""
    wanted = _wanted(state, registry, workload_id)
    present = registry.aliases(workload_id)
    return {
        alias: (wanted.get(alias), present.get(alias))
        for alias in ALIASES
        if wanted.get(alias) != present.get(alias)
    }


def _wanted(state: State, registry: MlflowRegistry, workload_id: str) -> dict[str, str]:
    known = {release.release: release for release in state.releases.of(workload_id)}
    champion = known.get(state.routes.champion(workload_id))
    previous = known.get(champion.replaced or "") if champion else None
    wanted = {}
    for alias, release in zip(ALIASES, (champion, previous), strict=True):
        if release is None:
            continue
        version = registry.version_of(workload_id, release.release)
        if version is None:
            raise NotFoundError(
                f"MLflow has no model version of {release.release}.",
                next_step="the state says it was registered: bring it from where it was with "
                "`flywheel registry copy`, or restore MLflow's database",
            )
        wanted[alias] = version
    return wanted
