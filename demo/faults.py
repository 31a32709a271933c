"""`ReplicaFault`: a replica of the simulated world that answers nobody for a while.

It stands between gateway and model server. Flywheel knows nothing of it: it sees requests that fail.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flywheel.errors import UnavailableError
from flywheel.ports.model_server import Answer, ModelServer, Shots
from flywheel.workload.answers import AnswerCodec

__all__ = ["FaultyServer", "ReplicaFault"]


@dataclass
class ReplicaFault:
    """Whose requests fail now; None while every release answers."""

    release: str | None = None

    @contextmanager
    def of(self, release: str | None) -> Iterator[None]:
        """Let every request of a release fail during the block; None: no request."""
        self.release = release
        try:
            yield
        finally:
            self.release = None


class FaultyServer:
    """A model server of which the replica of one release fails as long as a fault lasts."""

    def __init__(self, server: ModelServer, fault: ReplicaFault) -> None:
        self._server = server
        self._fault = fault

    def load(self, release: str, adapter: Path) -> None:
        """Load an adapter folder under a name."""
        self._server.load(release, adapter)

    def unload(self, release: str) -> None:
        """Forget a retired release."""
        self._server.unload(release)

    def releases(self) -> tuple[str, ...]:
        """Name what can answer now."""
        return self._server.releases()

    def answer(
        self, release: str, codec: AnswerCodec, inputs: Sequence[str], *, shots: Shots = ()
    ) -> list[Answer]:
        """Answer each input, or raise UnavailableError for the release of the fault."""
        if release == self._fault.release:
            raise UnavailableError(
                f"The replica that serves {release} does not answer (simulated).",
                next_step="mend the replica",
            )
        return self._server.answer(release, codec, inputs, shots=shots)
