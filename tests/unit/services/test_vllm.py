"""What vLLM is told, and that what it starts ends with it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from flywheel.errors import ConfigurationError
from flywheel.ports.model_server import base_alias
from flywheel.services import vllm
from flywheel.services.catalog import publish
from flywheel.services.connections import extend_connections
from flywheel.services.supervisor import process_group as family
from flywheel.services.supervisor.plan import new_plan
from flywheel.services.vllm import serving_needs, vllm_application
from flywheel.settings import load_settings
from tests.fakes.micro_base import classification, extraction, micro_base


def test_needs_are_those_of_the_largest_workload():
    """Rank and context hold for every workload; each has a champion, a canary and a candidate."""
    large = classification().model_copy(
        update={"training": classification().training.model_copy(update={"rank": 20})}
    )
    needs = serving_needs([extraction(), large])
    assert (needs.rank, needs.adapters) == (32, 7)
    assert needs.context > large.limits.input_characters


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Describe a vLLM on a machine without a GPU, nothing installed."""
    monkeypatch.setattr(vllm, "install_environment", lambda *_: tmp_path / "bin")
    monkeypatch.setattr(vllm, "has_gpu", lambda: False)

    def describe(**changes):
        arguments = {
            "folder": tmp_path / "vllm",
            "port": 8123,
            "token": "s3cret",
            "cache": tmp_path,
            "cache_gb": 0.5,
        }
        needs = serving_needs([classification()])
        return vllm_application(micro_base().folder, needs, **(arguments | changes))

    return describe


@pytest.fixture
def application(described):
    """Return the only vLLM of a deployment."""
    return described()


def test_program_is_on_loopback_and_its_token_hidden(application):
    """It listens to this machine alone, and the token is no argument."""
    command = list(application.command)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "s3cret" not in " ".join(command)
    assert vllm.token(application) == "s3cret"
    assert vllm.url(application) == "http://127.0.0.1:8123"
    assert application.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


def test_memory_and_context_are_bounded(application):
    """The cache is what the settings say, the context no longer than the base's."""
    command = list(application.command)
    assert command[command.index("--kv-cache-memory-bytes") + 1] == str(2**29)
    assert command[command.index("--max-model-len") + 1] == "256"


@pytest.mark.parametrize(("cores", "own_process"), [(2, False), (7, False), (8, True)])
def test_a_worker_has_a_process_of_its_own_only_where_its_threads_are_bound(
    monkeypatch, cores, own_process
):
    """On a few cores it would cost memory and time, and bind nothing."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    environment = vllm._environment(Path("/programs/bin"), "s3cret", gpu=False)
    assert ("VLLM_ENABLE_V1_MULTIPROCESSING" not in environment) is own_process
    assert ("VLLM_CPU_OMP_THREADS_BIND" not in environment) is own_process


@pytest.mark.parametrize(
    ("cores", "program"), [(7, "vllm_forked"), (8, "vllm.entrypoints.openai.api_server")]
)
def test_the_engine_is_a_fork_only_on_few_cores(described, monkeypatch, cores, program):
    """Where workers are processes whose threads are bound, they start as vLLM starts them."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    command = described().command
    assert command[command.index("-m") + 1] == program


def test_a_gpu_is_never_forked(described, monkeypatch):
    """A process that has opened a GPU cannot be."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(vllm, "has_gpu", lambda: True)
    assert "vllm.entrypoints.openai.api_server" in described().command


def test_open_door_is_not_started(tmp_path: Path, application, monkeypatch: pytest.MonkeyPatch):
    """Without the file that closes every path, vLLM is not described at all."""
    monkeypatch.setattr(vllm, "_DOOR", tmp_path)
    with pytest.raises(ConfigurationError, match="stand open"):
        vllm_application(
            micro_base().folder,
            serving_needs([classification()]),
            folder=tmp_path / "vllm",
            port=8123,
            token="s3cret",  # noqa: S106 - a test's
            cache=tmp_path,
            cache_gb=0.5,
        )


def test_a_client_knows_how_many_adapters_fit(application):
    """What is started here is refused no release that it holds."""
    most = application.command[application.command.index("--max-cpu-loras") + 1]
    assert vllm.adapters_at_once(application) == int(most) == 8
    needs = vllm.ServingNeeds(rank=16, adapters=4, context=256)
    assert vllm.served_needs(application) == needs
    other = vllm.ServingNeeds(rank=32, adapters=1, context=1)
    assert needs.at_least(other) == vllm.ServingNeeds(rank=32, adapters=4, context=256)


def test_address_joins_what_is_already_written(tmp_path: Path):
    """What was started beside the services is added to their file."""
    extend_connections({"mlflow_url": "http://127.0.0.1:1"}, tmp_path)
    extend_connections({"vllm_url": "http://127.0.0.1:2", "model_server": "vllm"}, tmp_path)
    extend_connections({}, tmp_path)
    settings = load_settings(profile="services", services=tmp_path)
    assert (settings.model_server, settings.vllm_url) == ("vllm", "http://127.0.0.1:2")
    assert settings.mlflow_database == "http://127.0.0.1:1"


def test_one_for_each_base_has_a_name_and_they_share_a_gpu(described, monkeypatch, tmp_path):
    """The first keeps its name; clients find all addresses, in order, and the smaller room."""
    names = [vllm.program_name(number) for number in (1, 2)]
    assert names == ["vllm", "vllm-2"]
    assert [vllm.program_number(name) for name in names] == [1, 2]
    first, second = described(), described(name="vllm-2", port=8124)
    assert vllm.served_alias(second) == base_alias(micro_base().digest)
    plan = new_plan(ephemeral=False, cache=tmp_path, memory_mb=512, properties={})
    publish(plan.with_application(second).with_application(first), tmp_path)
    settings = load_settings(profile="services", services=tmp_path)
    assert settings.vllm_urls == ("http://127.0.0.1:8123", "http://127.0.0.1:8124")
    assert settings.vllm_max_loras == 8
    assert plan.with_application(first).without_application("vllm").applications == {}
    monkeypatch.setattr(vllm, "has_gpu", lambda: True)
    command = described(servers=2).command
    assert command[command.index("--gpu-memory-utilization") + 1] == "0.45"
    assert "--gpu-memory-utilization" not in described().command


_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_children_end_with_the_program_however_it_ends():
    """A killed program takes what it started along, and its end is told."""
    command = [sys.executable, "-P", family.FILE, sys.executable, "-c", _PARENT]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as keeper:
        assert keeper.stdout is not None
        child = psutil.Process(int(keeper.stdout.readline()))
        os.kill(child.ppid(), signal.SIGKILL)
        assert keeper.wait(timeout=60) == 128 + signal.SIGKILL
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()
