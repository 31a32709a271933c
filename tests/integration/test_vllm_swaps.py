"""Releases change on a real vLLM while clients keep asking."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.clock import SystemClock
from flywheel.errors import FlywheelError
from flywheel.release.serving import swap, unload_retired
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.state import State
from flywheel.usecases.answering import ChampionClient
from tests.fakes.micro_base import classification, codec, labeled
from tests.fakes.swaps import recorded, switch

pytestmark = [pytest.mark.services, pytest.mark.timeout(300, func_only=True)]

_SWAPS = 20
# Between an answer and the next question: without, the swaps wait behind a server at its limit.
_PAUSE_SECONDS = 0.02


@pytest.fixture
def server(vllm) -> Iterator[VllmModelServer]:
    """Return the session's vLLM with no adapter loaded, before and after."""
    made = VllmModelServer(vllm.base, vllm.url, vllm.token)
    yield made
    for release in made.releases()[1:]:
        made.unload(release)
    made.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """Return a state in which the base answers."""
    made = State.open(f"sqlite:///{tmp_path / 'state.db'}", SystemClock())
    yield made
    made.close()


def test_no_request_fails_during_swaps(server, state, tmp_path, micro_adapters):
    """Twenty swaps under traffic: every answer valid, each release after the one before."""
    workload, texts = classification(), [text for text, _ in labeled(30)]
    over, failed, seen = threading.Event(), [], {0: [], 1: [], 2: []}

    def ask(number: int) -> None:
        client = ChampionClient(state, server, codec(), patience_seconds=0)
        for text in itertools.cycle(texts[number:]):
            if over.wait(_PAUSE_SECONDS):
                return
            try:
                served = client.ask([text])
            except FlywheelError as error:
                failed.append(error)
                return
            seen[number].append(served.release)
            failed.extend(answer.error for answer in served.answers if answer.error)

    clients = [threading.Thread(target=ask, args=(number,)) for number in seen]
    for client in clients:
        client.start()
    names = [f"parts.swap.{number:02d}" for number in range(_SWAPS)]
    try:
        for name, adapter in zip(names, itertools.cycle(micro_adapters.values()), strict=False):
            folder = recorded(state, workload, name, tmp_path, adapter)
            swap(server, name, folder, switch=lambda name=name: switch(state, workload.id, name))
            unload_retired(state, server, workload.id, drain_seconds=0.2)
    finally:
        over.set()
        for client in clients:
            client.join()
    assert failed == []
    assert server.releases() == ("base", names[-1])
    assert set(names) <= set().union(*seen.values()) | {names[-1]}
    for releases in seen.values():
        assert releases == sorted(releases)
