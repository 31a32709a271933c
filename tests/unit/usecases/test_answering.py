"""A client of the champion, while releases change and the server comes and goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.errors import UnavailableError
from flywheel.state import State
from flywheel.usecases.answering import ChampionClient
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from tests.fakes.model_server import FakeModelServer
from tests.fakes.release_world import make_workload
from tests.fakes.swaps import recorded, switch


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """Return a state in which the base answers."""
    made = State.open(f"sqlite:///{tmp_path / 'state.db'}", SystemClock())
    yield made
    made.close()


@pytest.fixture
def codec() -> AnswerCodec:
    """Return how a small workload's answers are written."""
    workload = make_workload("defects")
    return AnswerCodec(workload, assign_surfaces(workload, {}, ()))


class ForgetfulServer(FakeModelServer):
    """Forgets its adapters, or is away, when a test says so."""

    away = 0

    def answer(self, release, codec, inputs, *, shots=()):
        """Answer, unless away."""
        if self.away:
            self.away -= 1
            raise UnavailableError("away")
        return super().answer(release, codec, inputs, shots=shots)


def server(*releases: str) -> ForgetfulServer:
    """Return a server on which every release answers its own name."""
    return ForgetfulServer(
        {name: lambda _, name=name: name for name in ("base", *releases)}, confidence=0.5
    )


def test_release_is_read_at_every_request(state: State, codec: AnswerCodec, tmp_path: Path):
    """The release in the answers changes with the route, at one point."""
    asked = server("r1")
    client = ChampionClient(state, asked, codec)
    assert client.ask(["x"]).release == "base"
    asked.load("r1", recorded(state, codec.workload, "r1", tmp_path))
    switch(state, codec.workload.id, "r1")
    served = client.ask(["x", "y"])
    assert (served.release, [a.output for a in served.answers]) == ("r1", ["r1", "r1"])
    assert served.attempts == 1


def test_forgotten_champion_is_loaded_again(state: State, codec: AnswerCodec, tmp_path: Path):
    """A restarted server costs a second attempt, not an error."""
    asked = server("r1")
    recorded(state, codec.workload, "r1", tmp_path)
    switch(state, codec.workload.id, "r1")
    served = ChampionClient(state, asked, codec).ask(["x"])
    assert (served.release, served.attempts) == ("r1", 2)
    assert asked.releases() == ("base", "r1")


def test_server_away_for_a_moment_is_waited_for(state: State, codec: AnswerCodec):
    """An answer comes once the server is back."""
    asked = server()
    asked.away = 2
    assert ChampionClient(state, asked, codec).ask(["x"]).attempts == 3


def test_server_away_for_long_is_an_error(state: State, codec: AnswerCodec):
    """Patience ends, and the caller hears why."""
    asked = server()
    asked.away = 100
    with pytest.raises(UnavailableError, match="away"):
        ChampionClient(state, asked, codec, patience_seconds=0).ask(["x"])
