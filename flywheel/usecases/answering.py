"""Asks whoever answers now: the release comes from the route table at every request."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import NotFoundError, UnavailableError
from flywheel.usecases.cycle import codec_of

if TYPE_CHECKING:
    from flywheel.ports.model_server import Answer, ModelServer
    from flywheel.state import State
    from flywheel.wiring import Platform
    from flywheel.workload.answers import AnswerCodec
    from flywheel.workload.model import Workload

__all__ = ["ChampionClient", "Served"]

_PAUSE_SECONDS, _LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True)
class Served:
    """Answers of one release; ``attempts`` is above one where the first was in vain."""

    release: str
    answers: "list[Answer]"
    attempts: int


class ChampionClient:
    """Ask a workload's champion, through swaps and restarts of the model server.

    Args:
        state: holds the route table.
        server: answers.
        codec: of the workload on its base model.
        patience_seconds: how long a server that is away is waited for.
    """

    def __init__(
        self,
        state: "State",
        server: "ModelServer",
        codec: "AnswerCodec",
        *,
        patience_seconds: float = 120.0,
    ) -> None:
        self._state = state
        self._server = server
        self._codec = codec
        self._workload_id = codec.workload.id
        self._patience = patience_seconds

    @classmethod
    def of(
        cls, platform: "Platform", workload: "Workload", *, patience_seconds: float = 120.0
    ) -> "ChampionClient":
        """Return a client of a deployment's workload."""
        return cls(
            platform.state,
            platform.server(workload),
            codec_of(platform, workload),
            patience_seconds=patience_seconds,
        )

    def ask(self, inputs: Sequence[str]) -> Served:
        """Answer every input with the release that the route table names now.

        A server that was restarted gets the champion loaded again; one release answers all inputs.

        Raises:
            UnavailableError: the server stayed away.
            IntegrityError: the champion's adapter was changed; it is not served then.
        """
        deadline, pause, attempts = time.monotonic() + self._patience, _PAUSE_SECONDS, 0
        while True:
            attempts += 1
            release = self._state.routes.champion(self._workload_id)
            try:
                answers = self._server.answer(release, self._codec, inputs)
            except (NotFoundError, UnavailableError):
                if time.monotonic() > deadline:
                    raise
                if not self._mended():
                    time.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return Served(release, answers, attempts)

    def _mended(self) -> bool:
        from flywheel.release.serving import load_champion

        try:
            load_champion(self._state, self._server, self._workload_id)
        except UnavailableError:
            return False
        return True
