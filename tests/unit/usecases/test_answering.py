"""A client of the releases, while releases change and the server comes and goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.errors import NotFoundError, UnavailableError
from flywheel.gateway.arms import Arm
from flywheel.state import State
from flywheel.usecases.answering import ChampionClient, ReleaseClient
from flywheel.workload.answers import AnswerCodec, assign_surfaces
from tests.fakes.model_server import FakeModelServer
from tests.fakes.release_world import make_workload
from tests.fakes.swaps import recorded, switch

BASE = Arm("champion", "base")


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


def test_each_arm_is_answered_by_its_own_release(state: State, codec: AnswerCodec, tmp_path: Path):
    """Whatever the table says meanwhile: the arm was chosen from one snapshot of it."""
    asked = server("r1")
    client = ReleaseClient(state, asked, codec)
    assert client.ask(BASE, ["x"]).release == "base"
    asked.load("r1", recorded(state, codec.workload, "r1", tmp_path))
    served = client.ask(Arm("canary", "r1"), ["x", "y"])
    assert (served.release, [a.output for a in served.answers]) == ("r1", ["r1", "r1"])
    assert served.attempts == 1


def test_forgotten_champion_is_loaded_again(state: State, codec: AnswerCodec, tmp_path: Path):
    """A restarted server costs a second attempt, not an error."""
    asked = server("r1")
    recorded(state, codec.workload, "r1", tmp_path)
    switch(state, codec.workload.id, "r1")
    served = ReleaseClient(state, asked, codec).ask(Arm("champion", "r1"), ["x"])
    assert (served.release, served.attempts) == ("r1", 2)
    assert asked.releases() == ("base", "r1")


def test_a_champion_that_was_replaced_and_unloaded_is_followed_by_the_present_one(
    state: State, codec: AnswerCodec, tmp_path: Path
):
    """A request that took its snapshot just before the switch is answered all the same."""
    asked = server("r1")
    recorded(state, codec.workload, "r1", tmp_path)
    switch(state, codec.workload.id, "r1")
    served = ReleaseClient(state, asked, codec).ask(Arm("champion", "r0"), ["x"])
    assert (served.release, served.attempts) == ("r1", 2)


@pytest.mark.parametrize("route", ["canary", "shadow"])
def test_a_canary_or_shadow_is_asked_once(state: State, codec: AnswerCodec, route):
    """Its caller has the champion; nothing is loaded or waited for."""
    asked = server("r1")
    with pytest.raises(NotFoundError):
        ReleaseClient(state, asked, codec).ask(Arm(route, "r1"), ["x"])
    asked.away = 1
    with pytest.raises(UnavailableError):
        ReleaseClient(state, asked, codec).ask(Arm(route, "base"), ["x"])
    assert asked.releases() == ("base",)


def test_server_away_for_a_moment_is_waited_for(state: State, codec: AnswerCodec):
    """An answer comes once the server is back."""
    asked = server()
    asked.away = 2
    assert ReleaseClient(state, asked, codec).ask(BASE, ["x"]).attempts == 3


def test_server_away_for_long_is_an_error(state: State, codec: AnswerCodec):
    """Patience ends, and the caller hears why."""
    asked = server()
    asked.away = 100
    with pytest.raises(UnavailableError, match="away"):
        ReleaseClient(state, asked, codec, patience_seconds=0).ask(BASE, ["x"])


def test_the_champion_is_read_at_every_request(state: State, codec: AnswerCodec, tmp_path: Path):
    """The release in the answers changes with the route, at one point."""
    asked = server("r1")
    client = ChampionClient(state, asked, codec)
    assert client.ask(["x"]).release == "base"
    asked.load("r1", recorded(state, codec.workload, "r1", tmp_path))
    switch(state, codec.workload.id, "r1")
    assert client.ask(["x"]).release == "r1"
