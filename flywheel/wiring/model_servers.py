"""`ModelServers`: one server per base model and process."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.basemodel import BaseModel, HomeBases
    from flywheel.ports.model_server import ModelServer
    from flywheel.state import State

__all__ = ["ModelServers"]


class ModelServers:
    """The servers of a deployment's base models, opened when they are first asked for.

    Args:
        open_server: returns the server of a base model in a folder.
        bases: returns the base models of the deployment.
        state: the prompts of its releases are pinned.
        own_processes: whether servers are programs of their own, which other processes load too.
    """

    def __init__(
        self,
        open_server: "Callable[[Path], ModelServer]",
        *,
        bases: "Callable[[], HomeBases]",
        state: "Callable[[], State]",
        own_processes: bool = False,
    ) -> None:
        self._open = open_server
        self._bases = bases
        self._state = state
        self._own_processes = own_processes
        self._servers: dict[Path, ModelServer] = {}
        self._plain: dict[Path, ModelServer] = {}

    def server(self, base: "BaseModel") -> "ModelServer":
        """Return the server of a base; releases of another base are asked on that one."""
        if base.folder not in self._servers:
            from flywheel.release.base_servers import ServersByBase
            from flywheel.release.pinned_prompt import PinnedPrompts

            server = ServersByBase(
                self._plain_server(base),
                base,
                self._bases().with_digest,
                self._plain_server,
                self._trained_on if self._own_processes else tuple,
                partial(self._bases().with_digest, fetch=False),
            )
            self._servers[base.folder] = PinnedPrompts(server, self._state)
        return self._servers[base.folder]

    def replicas_lack_releases(self, base: "BaseModel") -> bool:
        """Return whether a replica answers without what another one of its base has.

        Beside the replicas of ``base``, those of every base that was asked since.
        """
        from flywheel.serve.fleet import FleetModelServer

        servers = (self._plain_server(base), *self._plain.values())
        return any(isinstance(each, FleetModelServer) and each.lacking for each in servers)

    def _trained_on(self) -> frozenset[str]:
        return self._state().releases.base_digests()

    def _plain_server(self, base: "BaseModel") -> "ModelServer":
        if base.folder not in self._plain:
            self._plain[base.folder] = self._open(base.folder)
        return self._plain[base.folder]
