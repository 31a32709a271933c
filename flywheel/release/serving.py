"""Brings a model server to what the route table says, after a restart of either."""

from flywheel.ports.model_server import BASE_RELEASE, ModelServer
from flywheel.release.adapter_files import checked_adapter
from flywheel.state import State

__all__ = ["load_champion"]


def load_champion(state: State, server: ModelServer, workload_id: str) -> str:
    """Load the champion where the server does not have it, and return its name.

    Raises:
        IntegrityError: its adapter was changed; it is not served then.
    """
    champion = state.champion(workload_id)
    if champion != BASE_RELEASE and champion not in server.releases():
        server.load(champion, checked_adapter(state.get_release(champion)))
    return champion
