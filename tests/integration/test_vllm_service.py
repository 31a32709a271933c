"""VLLM as a service: closed to strangers, whole or not at all, gone after `down`."""

import os
import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.serve.vllm_facts import inspect_vllm
from flywheel.services import stop
from flywheel.services.supervisor.leftovers import find
from flywheel.services.supervisor.supervision import wait_until
from flywheel.settings import load_settings
from tests.fakes.micro_base import micro_base

pytestmark = [pytest.mark.services, pytest.mark.timeout(600, func_only=True)]


def status(url: str, token: str | None = None, body: bytes | None = None) -> int:
    """Return the status that a URL answers with."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data=body, headers=headers), timeout=30
        ) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models", None),
        ("/adapters", b'{"name": "x", "src": "/tmp/x"}'),
        ("/invocations", b"{}"),
        ("/tokenize", b"{}"),
        ("/metrics", None),
        ("/version", None),
    ],
)
def test_no_path_is_open_to_strangers(vllm, path: str, body: bytes | None):
    """Without the token, and with another one, every path but /health answers 401."""
    assert status(vllm.url + path, body=body) == 401
    assert status(vllm.url + path, "another", body) == 401
    assert status(vllm.url + path, vllm.token, body) != 401


def test_health_is_open_and_only_loopback_listens(vllm):
    """What says that it serves needs no token, and nothing listens to the network."""
    assert status(f"{vllm.url}/health") == 200
    port = int(vllm.url.rpartition(":")[2])
    listening = {
        c.laddr.ip for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port
    }
    assert listening == {"127.0.0.1"}


def test_token_is_not_among_the_arguments(vllm):
    """Other users of the machine see arguments; the token is in the environment."""
    pid = vllm.services.states()["vllm"].pid
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(family) >= 3
    assert not any(vllm.token in " ".join(process.cmdline()) for process in family)


@pytest.mark.skipif((os.cpu_count() or 1) >= 8, reason="only on few cores")
def test_the_engine_is_a_fork_of_the_api_server(vllm):
    """It has imported already: a new Python, and the one that tracks what it shares, do not run."""
    server, *below = psutil.Process(vllm.services.states()["vllm"].pid).children(recursive=True)
    assert [process.ppid() for process in below] == [server.pid]
    shared = re.findall(
        r"Shared_Dirty: +(\d+)", Path(f"/proc/{server.pid}/smaps_rollup").read_text()
    )
    assert int(shared[0]) > 100_000  # kB


def test_settings_say_where_it_is(vllm):
    """Whoever uses the services profile finds address, token and adapter."""
    settings = load_settings(profile="services", services=vllm.services.folder)
    assert (settings.model_server, settings.vllm_url) == ("vllm", vllm.url)
    assert settings.vllm_token is not None
    assert settings.vllm_token.get_secret_value() == vllm.token


def test_doctor_sees_version_base_and_door(vllm):
    """What `flywheel doctor` prints rests on what vLLM answers."""
    facts = inspect_vllm(vllm.url, vllm.token, timeout_seconds=30)
    assert facts.version.startswith("0.")
    assert facts.models.serves(micro_base().digest)
    assert not facts.models.serves("0" * 64)
    assert facts.models.root == str(micro_base().folder)
    assert facts.closed
    with pytest.raises(ConfigurationError, match="token"):
        inspect_vllm(vllm.url, "another", timeout_seconds=30)
    with pytest.raises(UnavailableError, match="does not answer"):
        inspect_vllm("http://127.0.0.1:1", vllm.token, timeout_seconds=30)


def test_engine_ends_with_the_process_that_answers(vllm):
    """A killed API server leaves no engine behind that holds its memory; a start brings it back."""
    services = vllm.services
    keeper = psutil.Process(services.states()["vllm"].pid)
    family = keeper.children(recursive=True)
    family[0].kill()
    psutil.wait_procs([keeper, *family], timeout=60)
    assert [process for process in family if process.is_running()] == []
    services.start("vllm")
    assert status(f"{vllm.url}/health") == 200


def test_nothing_is_left_when_the_supervisor_was_killed(own_services):
    """VLLM's engine writes over its environment, and `down` finds it all the same."""
    from tests.fakes.vllm_plane import micro_vllm

    services = own_services()
    services.run([micro_vllm(services)])
    keeper = psutil.Process(services.states()["vllm"].pid)
    family = [keeper, *keeper.children(recursive=True)]
    os.kill(int(services.layout.pid_file.read_text()), signal.SIGKILL)
    keeper.kill()
    family[1].kill()
    wait_until(
        lambda: not family[1].is_running() or family[1].status() == psutil.STATUS_ZOMBIE,
        seconds=20,
        goal="the end of the API server",
        log=services.log("vllm"),
    )
    assert find(services.folder)
    stop(services.folder)
    psutil.wait_procs(family, timeout=20)
    assert [process for process in family if process.is_running()] == []
