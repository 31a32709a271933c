"""Which releases a model server has: the one place that swaps them, and what mends a restart.

The order of a swap is what keeps clients whole: the new release is loaded, warmed and checked while
the old one answers; the route changes in one transaction; the old one is unloaded only when those
who read the route before the switch have had time to ask.
"""

import time
from collections.abc import Callable
from pathlib import Path

from flywheel.errors import UnavailableError
from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.state import Release, State

__all__ = ["load_champion", "load_release", "load_routed", "swap", "unload_retired"]


def swap(
    server: ModelServer,
    release: str,
    adapter: Path | None,
    *,
    switch: Callable[[], None],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Let a release answer in the place of another.

    Until ``switch`` nothing changes for a client, whatever fails; ``unload_retired`` comes after.

    Args:
        server: gets the release loaded, and warmed with an answer.
        release: its name.
        adapter: its verified folder; None where the base itself answers again.
        switch: changes the route, in one transaction.
        check: raises where the loaded release does not answer as it must.
    """
    if adapter is not None:
        server.load(release, adapter)
    check()
    switch()


def unload_retired(
    state: State, server: ModelServer, workload_id: str, *, drain_seconds: float = 0.0
) -> list[str]:
    """Unload what no route and no open cycle of a workload needs, and return its names.

    An unavailable server is not an error: what it would have unloaded goes at the next call.

    Args:
        state: knows routes, releases and cycles.
        server: may have more than is needed.
        workload_id: whose releases are looked at; others are left alone.
        drain_seconds: how long those who read the route before the switch have to ask; a request
            that is under way is answered in any case.
    """
    try:
        loaded = set(server.releases()) - {BASE_RELEASE}
        retired = [
            release.release
            for release in state.releases.of(workload_id)
            if release.release in loaded and not _needed(state, release)
        ]
        if retired:
            time.sleep(drain_seconds)
        for name in retired:
            server.unload(name)
    except UnavailableError:
        return []
    return retired


def load_champion(state: State, server: ModelServer, workload_id: str) -> str:
    """Load the champion where the server does not have it, and return its name.

    Raises:
        IntegrityError: its adapter was changed; it is not served then.
        UnavailableError: the server is away.
    """
    champion = state.routes.champion(workload_id)
    load_release(state, server, champion)
    return champion


def load_release(state: State, server: ModelServer, name: str) -> None:
    """Load a release where the server does not have it.

    Raises:
        IntegrityError: its adapter was changed; it is not served then.
        UnavailableError: the server is away.
    """
    if name != BASE_RELEASE and name not in server.releases():
        server.load(name, checked_adapter(state.releases.get(name)))


def load_routed(state: State, server: ModelServer, workload_id: str) -> list[str]:
    """Load what the route table names and the server does not have, and return its names.

    Raises:
        IntegrityError: an adapter was changed; it is not served then.
        UnavailableError: the server is away.
    """
    loaded = set(server.releases())
    missing = {route.release for route in state.routes.of(workload_id)} - loaded - {BASE_RELEASE}
    for name in sorted(missing):
        server.load(name, checked_adapter(state.releases.get(name)))
    return sorted(missing)


def _needed(state: State, release: Release) -> bool:
    routed = {route.release for route in state.routes.of(release.workload_id)}
    if release.release in routed:
        return True
    candidate = release.status in {"candidate", "promoting"}
    return candidate and state.cycles.get(release.cycle_ref).is_open
