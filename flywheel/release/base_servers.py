"""`ServersByBase`: a model server that asks each release on the base it was trained on.

A workload moves to another base through a cycle: the champion on the old base and the candidate on
the new one answer side by side, and either may be promoted or rolled back to.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from flywheel.artifacts.adapter_folder import MANIFEST
from flywheel.artifacts.base_folder import BaseModel
from flywheel.ports.model_server import Answer, ModelServer, Shots
from flywheel.workload.answers import AnswerCodec

__all__ = ["ServersByBase"]


class ServersByBase:
    """A model server for releases on several bases; ``base`` is the workload's own.

    Args:
        server: serves the workload's base.
        base: that base.
        find: returns another base of the deployment by its digest; raises NotFoundError.
        open_server: returns the server of another base.
    """

    def __init__(
        self,
        server: ModelServer,
        base: BaseModel,
        find: Callable[[str], BaseModel],
        open_server: Callable[[BaseModel], ModelServer],
    ) -> None:
        self._server = server
        self._digest = base.digest
        self._find = find
        self._open_server = open_server
        self._elsewhere: dict[str, tuple[BaseModel, ModelServer]] = {}

    def load(self, release: str, adapter: Path) -> None:
        """Load an adapter folder under a name, on the base that its manifest names.

        Raises:
            NotFoundError: this deployment does not have that base.
        """
        digest = self._digest_in(adapter)
        if digest == self._digest:
            self._server.load(release, adapter)
            return
        base = self._find(digest)
        server = self._open_server(base)
        server.load(release, adapter)
        self._elsewhere[release] = base, server

    def unload(self, release: str) -> None:
        """Forget a retired release; see `ModelServer`."""
        self._on(release).unload(release)
        self._elsewhere.pop(release, None)

    def releases(self) -> tuple[str, ...]:
        """Name what can answer now; see `ModelServer`."""
        moved = [name for name, (_, server) in self._elsewhere.items() if name in server.releases()]
        return (*self._server.releases(), *sorted(moved))

    def answer(
        self, release: str, codec: AnswerCodec, inputs: Sequence[str], *, shots: Shots = ()
    ) -> list[Answer]:
        """Answer each input with the release on its own base; see `ModelServer`."""
        if release in self._elsewhere:
            base, server = self._elsewhere[release]
            codec = replace(codec, surfaces=base.codec(codec.workload).surfaces)
            return server.answer(release, codec, inputs, shots=shots)
        return self._server.answer(release, codec, inputs, shots=shots)

    def _digest_in(self, adapter: Path) -> str:
        try:
            return str(json.loads((adapter / MANIFEST).read_bytes())["base_digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return self._digest  # the server checks the folder and says what is wrong with it

    def _on(self, release: str) -> ModelServer:
        return self._elsewhere[release][1] if release in self._elsewhere else self._server
