"""`ServersByBase`: a model server that asks each release on the base it was trained on.

A workload moves to another base through a cycle: the champion on the old base and the candidate on
the new one answer side by side, and either may be promoted or rolled back to.
"""

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flywheel.artifacts.adapter_folder import MANIFEST
from flywheel.artifacts.base_folder import BaseModel
from flywheel.errors import FlywheelError, UnavailableError, UnservedBaseError
from flywheel.ports.model_server import BASE_RELEASE, Answer, ModelServer, Shots
from flywheel.workload.answers import AnswerCodec

__all__ = ["ServersByBase"]

_NOT_THERE = (UnavailableError, UnservedBaseError)


class ServersByBase:
    """A model server for releases on several bases; ``base`` is the workload's own.

    Args:
        server: serves the workload's base.
        base: that base.
        find: returns another base of the deployment by its digest; raises NotFoundError.
        open_server: returns the server of another base.
        trained_on: returns the digests of bases whose releases other processes may have loaded, for
            servers that are programs of their own.
        find_here: as ``find``, without fetching the base from elsewhere; default: ``find``.
    """

    def __init__(
        self,
        server: ModelServer,
        base: BaseModel,
        find: Callable[[str], BaseModel],
        open_server: Callable[[BaseModel], ModelServer],
        trained_on: Callable[[], Collection[str]] = tuple,
        find_here: Callable[[str], BaseModel] | None = None,
    ) -> None:
        self._server = server
        self._digest = base.digest
        self._find = find
        self._find_here = find_here or find
        self._open_server = open_server
        self._trained_on = trained_on
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
        """Name what can answer now, on any base; see `ModelServer`.

        A base that no server answers on contributes nothing, as long as another one answers. Nor does
        another base that is damaged or not on this machine, or whose server refuses: loading and
        asking its releases says why.
        """
        others = self._look_elsewhere()
        moved = sorted(set().union(*others))
        try:
            return (*self._server.releases(), *moved)
        except _NOT_THERE:
            if not others:
                raise
            return tuple(moved)

    def answer(
        self, release: str, codec: AnswerCodec, inputs: Sequence[str], *, shots: Shots = ()
    ) -> list[Answer]:
        """Answer each input with the release on its own base; see `ModelServer`."""
        if release in self._elsewhere:
            base, server = self._elsewhere[release]
            codec = replace(codec, surfaces=base.codec(codec.workload).surfaces)
            return server.answer(release, codec, inputs, shots=shots)
        return self._server.answer(release, codec, inputs, shots=shots)

    def _look_elsewhere(self) -> list[set[str]]:
        # The releases on each other base that a server answers on.
        others = {base.digest: (base, server) for base, server in self._elsewhere.values()}
        for digest in {*self._trained_on()} - {self._digest, *others}:
            with suppress(FlywheelError):  # one that is gone or damaged has no server
                base = self._find_here(digest)
                others[digest] = base, self._open_server(base)
        answering = []
        for base, server in others.values():
            with suppress(FlywheelError):  # its own loads and answers say what is wrong
                names = {*server.releases()} - {BASE_RELEASE}
                self._elsewhere |= dict.fromkeys(names, (base, server))
                answering.append(names)
        return answering

    def _digest_in(self, adapter: Path) -> str:
        try:
            return str(json.loads((adapter / MANIFEST).read_bytes())["base_digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return self._digest  # the server checks the folder and says what is wrong with it

    def _on(self, release: str) -> ModelServer:
        return self._elsewhere[release][1] if release in self._elsewhere else self._server
