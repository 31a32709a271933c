"""Two replicas of vLLM's HTTP interface behind the ModelServer port, under load."""

import threading
import time
from typing import Self

import pytest

from flywheel.errors import RefusedError, UnavailableError
from flywheel.serve.fleet import FleetModelServer
from flywheel.serve.vllm_server import VllmModelServer
from flywheel.settings import load_settings
from flywheel.wiring.adapters import open_model_server
from tests.fakes.micro_base import codec, micro_base
from tests.fakes.vllm_http import FakeVllm
from tests.fakes.waiting import wait_until


@pytest.fixture
def replicas():
    """Return two running replicas of the micro base."""
    replicas = [FakeVllm(micro_base(), seconds=0.002) for _ in range(2)]
    yield replicas
    for replica in replicas:
        replica.kill()


@pytest.fixture
def fleet(replicas, tmp_path):
    """Return both as one server, as the settings open it."""
    settings = load_settings(
        home=tmp_path, model_server="vllm", vllm_url=f"{replicas[0].url}, {replicas[1].url}/"
    )
    fleet = open_model_server(settings, micro_base().folder)
    yield fleet
    fleet.close()


class Clients:
    """Threads that ask the release of the moment until they are stopped."""

    def __init__(self, fleet, release) -> None:
        self.fleet, self.release = fleet, release
        self.answers, self.failures = 0, []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def _ask(self):
        while not self._end.is_set():
            try:
                (answer,) = self.fleet.answer(self.release, codec(), ["the seal leaks"])
                assert answer.output == codec().workload.taxonomy.names[0]
                self.answers += 1
            except Exception as error:
                self.failures.append(error)
                raise

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def wait(self, more=20):
        """Wait until so many more answers have come."""
        enough = self.answers + more
        wait_until(lambda: self.answers >= enough or self.failures)


def test_a_kill_an_empty_restart_and_a_swap_under_load_fail_no_request(
    fleet, replicas, micro_adapters
):
    """A replica is asked for a release only while it has it."""
    assert isinstance(fleet, FleetModelServer)
    fleet.load("parts-0", micro_adapters["parts-0"])
    assert [set(one.adapters) for one in replicas] == [{"parts-0"}] * 2
    with Clients(fleet, "parts-0") as clients:
        clients.wait()
        assert all(one.answered["parts-0"] > 5 for one in replicas)
        replicas[1].kill()
        clients.wait()
        answered = replicas[1].answered["parts-0"]
        replicas[1].start()
        # Empty at first; what is loaded there warms it, and only then do requests come.
        wait_until(lambda: "parts-0" in replicas[1].adapters)
        wait_until(lambda: replicas[1].answered["parts-0"] > answered + 5)
        fleet.load("parts-1", micro_adapters["parts-1"])
        assert [set(one.adapters) for one in replicas] == [{"parts-0", "parts-1"}] * 2
        clients.release = "parts-1"
        clients.wait()
        fleet.unload("parts-0")
        clients.wait()
    assert clients.failures == []
    assert [set(one.adapters) for one in replicas] == [{"parts-1"}] * 2


def test_a_new_replica_gets_no_request_before_it_has_the_release(replicas, micro_adapters):
    """Another process loaded the release on the first one alone."""
    server = VllmModelServer(micro_base().folder, replicas[0].url)
    server.load("parts-0", micro_adapters["parts-0"])
    fleet = FleetModelServer(
        {one.url: VllmModelServer(micro_base().folder, one.url) for one in replicas}
    )
    for _ in range(4):
        fleet.answer("parts-0", codec(), ["the seal leaks"])
    assert (replicas[0].answered["parts-0"], replicas[1].answered["parts-0"]) == (5, 0)
    assert fleet.lacking == {"parts-0"}
    fleet.load("parts-0", micro_adapters["parts-0"])
    assert fleet.releases() == ("base", "parts-0")
    fleet.close()
    server.close()


def test_what_does_not_fit_is_refused_with_the_figure(replicas, micro_adapters):
    """On all replicas or on none."""
    fleet = FleetModelServer(
        {
            one.url: VllmModelServer(micro_base().folder, one.url, adapters_at_once=most)
            for one, most in zip(replicas, (2, 1), strict=True)
        }
    )
    fleet.load("parts-0", micro_adapters["parts-0"])
    fleet.load("parts-0", micro_adapters["parts-0"])  # is there already
    with pytest.raises(RefusedError, match=r"holds 1 of 1 adapters \(parts-0\): parts-1 does not"):
        fleet.load("parts-1", micro_adapters["parts-1"])
    assert [set(one.adapters) for one in replicas] == [{"parts-0"}] * 2
    fleet.close()


def test_all_replicas_away_is_said_at_once(fleet, replicas):
    """With the addresses, and without a wait for a time-out."""
    fleet.answer("base", codec(), ["the seal leaks"])
    for one in replicas:
        one.kill()
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            fleet.answer("base", codec(), ["the seal leaks"])
    assert time.monotonic() - started < 5
    with pytest.raises(UnavailableError, match=f"None of 2 replicas answers.*{replicas[1].url}"):
        fleet.releases()
