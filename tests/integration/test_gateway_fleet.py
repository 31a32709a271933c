"""Releases are swapped behind a gateway on two replicas, one of which is killed, while clients ask."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from itertools import groupby
from types import SimpleNamespace

import pytest

from flywheel.deployment.gateway_program import gateway_in_thread
from flywheel.release.serving import swap, unload_retired
from flywheel.services.supervisor.network import free_ports
from flywheel.usecases.gateway import open_gateway
from flywheel.usecases.landing import land
from flywheel.wiring import Platform
from loop.client import AskingClient
from tests.fakes.dagster_programs import REPOSITORY
from tests.fakes.gateway_world import KEY, build_gateway_home
from tests.fakes.micro_base import micro_base
from tests.fakes.swaps import recorded, switch, untrained_adapter
from tests.fakes.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_SWAPS = 6
_KILLED_AT, _BACK_AT = 2, 4
_ANSWERS = 25
_CLIENTS = 4


class Replica:
    """vLLM's interface as a process."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self):
        """Serve with no adapter, as a restarted vLLM does."""
        base = str(micro_base().folder)
        command = [sys.executable, "-m", "tests.fakes.vllm_http", base, str(self.port)]
        self._process = subprocess.Popen(command, cwd=REPOSITORY)

    def kill(self):
        """End it with -9."""
        self._process.kill()
        self._process.wait()

    def ask(self, path):
        """Return what it says, None while it is away."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def holds(self, release):
        """Whether it has a release."""
        models = self.ask("/v1/models")
        return models is not None and release in {card["id"] for card in models["data"]}


@pytest.fixture
def replicas():
    """Return two processes that serve the micro base."""
    replicas = [Replica() for _ in range(2)]
    wait_until(lambda: all(one.ask("/v1/models") for one in replicas), seconds=120)
    yield replicas
    for one in replicas:
        one.kill()


@pytest.fixture
def platform(tmp_path, replicas):
    """Return a deployment on both."""
    settings, _ = build_gateway_home(tmp_path)
    urls = ",".join(one.url for one in replicas)
    platform = Platform(
        settings.model_copy(update={"model_server": "vllm", "vllm_url": urls, "drain_seconds": 0.5})
    )
    yield platform
    platform.close()


def test_swaps_under_load_on_two_replicas(platform, replicas, tmp_path, record_property):
    """No request fails, whichever replica dies; a replica is asked for what it has alone."""
    workload = platform.workload("parts")
    server, state, base = platform.server(workload), platform.state, platform.base(workload)
    names = [f"parts.swap.{number}" for number in range(_SWAPS)]
    calls = [SimpleNamespace(text=f"report {n}", subject_id=f"p{n % 40}") for n in range(200)]
    with gateway_in_thread(platform) as url:
        clients = [
            AskingClient(url, KEY, workload.id, calls, pause_seconds=0.01) for _ in range(_CLIENTS)
        ]
        for client in clients:
            client.start()

        def wait_for_answers(release):
            before = _answered(clients, release)
            wait_until(
                lambda: _answered(clients, release) >= before + _ANSWERS or _failures(clients)
            )

        for number, name in enumerate(names):
            if number == _BACK_AT:
                replicas[1].start()
                wait_until(lambda: replicas[1].holds(names[number - 1]), seconds=120)  # noqa: B023
                assert not replicas[1].ask("/counts")["unknown"]
                wait_until(lambda: replicas[1].ask("/counts")["answered"])
            adapter = untrained_adapter(tmp_path / f"trained-{number}", base, seed=number)
            folder = recorded(state, workload, name, tmp_path, adapter)
            swap(server, name, folder, switch=lambda name=name: switch(state, workload.id, name))
            assert all(one.holds(name) for one in replicas if one.ask("/v1/models"))
            wait_for_answers(name)
            if number == _KILLED_AT:
                replicas[1].kill()
                wait_for_answers(name)
            unload_retired(
                state, server, workload.id, drain_seconds=platform.settings.drain_seconds
            )
        for client in clients:
            client.stop()
        unknown = [one.ask("/counts")["unknown"] for one in replicas]
    with open_gateway(platform):  # what the first had not sent yet is sent now
        pass
    land(platform)
    replies = [reply for client in clients for reply in client.replies]
    seen = Counter(reply.release for reply in replies)
    record_property("requests", len(replies))
    record_property("failed", len(_failures(clients)))
    record_property("by release", str(dict(seen)))
    assert _failures(clients) == []
    assert list(seen) == sorted(seen, key=["base", *names].index)
    assert seen.keys() == {"base", *names}
    for client in clients:
        order = [release for release, _ in groupby(reply.release for reply in client.replies)]
        assert order == sorted(set(order), key=["base", *names].index)
    assert unknown == [{}, {}]
    rows = platform.lake.rows("SELECT inference_id, release FROM answered_inferences")
    assert {r["inference_id"]: r["release"] for r in rows} == {
        r.inference_id: r.release for r in replies
    }


def _answered(clients, release):
    return sum(client.answered(release) for client in clients)


def _failures(clients):
    return [reply for client in clients for reply in client.failures]
