"""MLflow's aliases as a projection of the route table, synced again at every occasion."""

from collections.abc import Sequence

from flywheel.errors import ConcurrencyError, NotFoundError, UnavailableError
from flywheel.release.registry import MlflowRegistry
from flywheel.state import State

__all__ = ["ALIASES", "alias_differences", "follow_aliases", "sync_aliases"]

ALIASES = ("champion", "previous", "canary", "shadow")
_ROUNDS = 3


def sync_aliases(state: State, registry: MlflowRegistry, workload_id: str) -> dict[str, str]:
    """Make ``ALIASES`` say what the route table says, and return them.

    An alias whose release is the base itself, or that no route has, is taken away. Call it under
    the workload's lease.

    Raises:
        NotFoundError: MLflow lacks a version that the state says was registered; the other aliases
            are set.
        ConcurrencyError: the routes changed again and again meanwhile.
    """
    for _ in range(_ROUNDS):
        routes = _routes(state, workload_id)
        expected, missing = _expected(state, registry, workload_id)
        for alias in ALIASES:
            registry.set_alias(workload_id, alias, expected.get(alias))
        # MLflow knows no fencing tokens: one who was frozen here and lost the lease would write
        # what was so then. It looks again, and mends what it wrote.
        if _routes(state, workload_id) != routes:
            continue
        _require_versions(missing)
        return expected
    raise ConcurrencyError(
        f"The routes of {workload_id} change while its aliases are set.", next_step="try again"
    )


def follow_aliases(state: State, registry: MlflowRegistry, workload_id: str) -> str:
    """Sync the aliases after a switch that counts without them; return why they do not follow.

    An empty text means that they do. Who answers is decided by the route table: a registry that is
    away or lost a version fails nothing, and a repeat of what went before would go too far.
    """
    try:
        sync_aliases(state, registry, workload_id)
    except (UnavailableError, NotFoundError) as error:
        return error.message
    return ""


def alias_differences(
    state: State, registry: MlflowRegistry, workload_id: str
) -> dict[str, tuple[str | None, str | None]]:
    """Return the aliases that were moved by hand: the version each should name, and does name.

    Raises:
        NotFoundError: MLflow lacks a version that the state says was registered.
    """
    expected, missing = _expected(state, registry, workload_id)
    _require_versions(missing)
    actual = registry.aliases(workload_id)
    return {
        alias: (expected.get(alias), actual.get(alias))
        for alias in ALIASES
        if expected.get(alias) != actual.get(alias)
    }


def _require_versions(missing: Sequence[str]) -> None:
    if missing:
        raise NotFoundError(
            f"MLflow has no model version of {', '.join(missing)}.",
            next_step="the state says it was registered: bring it from where it was with "
            "`flywheel registry copy`, or restore MLflow's database",
        )


def _routes(state: State, workload_id: str) -> dict[str, str]:
    return {route.route: route.release for route in state.routes.of(workload_id)}


def _expected(
    state: State, registry: MlflowRegistry, workload_id: str
) -> tuple[dict[str, str], list[str]]:
    releases = {release.release: release for release in state.releases.of(workload_id)}
    routes = _routes(state, workload_id)
    champion = releases.get(state.routes.champion(workload_id))
    named = {
        "champion": champion,
        "previous": releases.get(champion.replaced or "") if champion else None,
        "canary": releases.get(routes.get("canary", "")),
        "shadow": releases.get(routes.get("shadow", "")),
    }
    versions = registry.versions(workload_id) if any(named.values()) else {}
    expected, missing = {}, []
    for alias, release in named.items():
        if release is None:
            continue
        version = versions.get(release.release)
        if version is None:
            missing.append(release.release)
        else:
            expected[alias] = version
    return expected, missing
