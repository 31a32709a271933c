"""`ReleaseClient` and `ChampionClient`: answers of a release, through swaps and restarts."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.errors import NotFoundError, UnavailableError
from flywheel.gateway.arms import Arm
from flywheel.io.retry import AWAY, retried
from flywheel.usecases.cycle import codec_of

if TYPE_CHECKING:
    from flywheel.ports.model_server import Answer, ModelServer
    from flywheel.state import State
    from flywheel.wiring import Platform
    from flywheel.workload.answers import AnswerCodec
    from flywheel.workload.model import Workload

__all__ = ["ChampionClient", "ReleaseClient", "Served"]

_ASKED_ONCE = frozenset({"canary", "shadow", "escalation"})


@dataclass(frozen=True)
class Served:
    """Answers of one release; ``attempts`` is above one where the first was in vain."""

    release: str
    answers: "list[Answer]"
    attempts: int


class ReleaseClient:
    """Ask the release that a request was assigned to.

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
    ) -> "ReleaseClient":
        """Return a client of a deployment's workload."""
        return cls(
            platform.state,
            platform.server(workload),
            codec_of(platform, workload),
            patience_seconds=patience_seconds,
        )

    def ask(self, arm: Arm, inputs: Sequence[str]) -> Served:
        """Answer every input with the release of one arm.

        A canary, a shadow and a tier are asked once: another answers their callers. A champion that the
        server does not have is loaded, and a server that is away is waited for; a release that was
        the champion and has been unloaded since is followed by the present one.

        Raises:
            NotFoundError: the server does not have this canary or shadow.
            UnavailableError: the server stayed away.
            IntegrityError: the champion's adapter was changed; it is not served then.
        """
        if arm.route in _ASKED_ONCE:
            return self._served(arm, arm.release, inputs, attempts=1)
        attempts = 0

        def attempt() -> Served:
            nonlocal attempts
            attempts += 1
            first = attempts == 1
            release = arm.release if first else self._state.routes.champion(self._workload_id)
            return self._served(arm, release, inputs, attempts=attempts)

        policy = AWAY.within(self._patience)
        may_pass = (NotFoundError, UnavailableError)
        return retried(attempt, policy, may_pass, before_retry=self._load_champion)

    def _served(self, arm: Arm, release: str, inputs: Sequence[str], *, attempts: int) -> Served:
        codec = self._codec.with_room(arm.answer_room)
        return Served(release, self._server.answer(release, codec, inputs), attempts)

    def _load_champion(self) -> None:
        from flywheel.release.serving import load_champion

        with suppress(UnavailableError):
            load_champion(self._state, self._server, self._workload_id)


class ChampionClient:
    """Ask a workload's champion, as the route table names it at every request; see `ReleaseClient`."""

    def __init__(
        self,
        state: "State",
        server: "ModelServer",
        codec: "AnswerCodec",
        *,
        patience_seconds: float = 120.0,
    ) -> None:
        self._state = state
        self._client = ReleaseClient(state, server, codec, patience_seconds=patience_seconds)
        self._workload_id = codec.workload.id

    @classmethod
    def of(
        cls, platform: "Platform", workload: "Workload", *, patience_seconds: float = 120.0
    ) -> "ChampionClient":
        """Return a client of a deployment's workload."""
        server, codec = platform.server(workload), codec_of(platform, workload)
        return cls(platform.state, server, codec, patience_seconds=patience_seconds)

    def ask(self, inputs: Sequence[str]) -> Served:
        """Answer every input with one release; errors are those of `ReleaseClient`."""
        champion = self._state.routes.champion(self._workload_id)
        return self._client.ask(Arm("champion", champion), inputs)
