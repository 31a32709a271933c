"""A Ray cluster on this machine: a head that runs no job, and a worker that trains.

Both listen on loopback alone and require a token, since anyone who reaches them may run any program.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flywheel
from flywheel.services.supervisor.health import answers
from flywheel.services.supervisor.network import HOST
from flywheel.services.supervisor.passwords import made_once
from flywheel.services.supervisor.program import Program

__all__ = [
    "HEAD",
    "PORTS",
    "WORKER",
    "Cluster",
    "connections",
    "fixed_ports",
    "prepare",
    "programs",
]

HEAD, WORKER = "ray-head", "ray-worker"
# What one training reserves of a worker; the setting train_resource asks for it.
_TRAINER = "trainer"
_SECRET_FILE = "ray-token"  # noqa: S105 - a file's name
_NODE_PORTS = (
    "--node-manager-port",
    "--object-manager-port",
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--runtime-env-agent-port",
    "--metrics-export-port",
)
_AGENT = 2
_HEAD_PORTS = ("--dashboard-port", "--port")
# Ports by program; one more of the head's is for the dashboard's own metrics, which has no flag.
PORTS = {HEAD: len(_HEAD_PORTS) + len(_NODE_PORTS) + 1, WORKER: len(_NODE_PORTS)}
_WORKER_OFFSET = 20
# Nothing is passed between jobs through Ray's store; this is the least that it takes.
_STORE_BYTES = 80_000_000


@dataclass(frozen=True)
class Cluster:
    """One head and one worker; Ray's sockets want the short path ``temporary``."""

    folder: Path
    temporary: Path
    secrets: Path
    cache: Path
    head_ports: tuple[int, ...]
    worker_ports: tuple[int, ...]


def fixed_ports(name: str, port: int) -> tuple[int, ...]:
    """Return the ports of a program beside the dashboard's."""
    first = port + (_WORKER_OFFSET if name == WORKER else 0)
    return tuple(range(first, first + PORTS[name]))


def connections(cluster: Cluster) -> dict[str, str | None]:
    """Return the settings of a client."""
    if not _token_file(cluster).exists():
        return {}
    return {
        "ray_address": _url(cluster),
        "ray_token": _token(cluster),
        "train_gpus": "1" if _graphics_cards() else None,
        "train_launcher": "ray",
    }


def prepare(cluster: Cluster) -> None:
    """Make the token, and forget the jobs of a cluster that was stopped."""
    cluster.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in (_jobs(cluster), *cluster.temporary.iterdir()):
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)
    _jobs(cluster).mkdir(mode=0o700)
    made_once(cluster.secrets, _SECRET_FILE)


def programs(cluster: Cluster) -> list[Program]:
    """Describe head and worker to the supervisor."""
    *head_ports, metrics = cluster.head_ports
    first = len(_HEAD_PORTS)
    head = [
        *("--head", "--dashboard-host", HOST, "--no-monitor", "--num-cpus", "0", "--num-gpus", "0"),
        *_numbered(_HEAD_PORTS, head_ports[:first]),
        *_numbered(_NODE_PORTS, head_ports[first:]),
        *("--temp-dir", str(cluster.temporary)),
    ]
    worker = [
        *("--address", f"{HOST}:{head_ports[1]}"),
        *("--resources", json.dumps({_TRAINER: max(1, _graphics_cards())})),
        *_numbered(_NODE_PORTS, cluster.worker_ports),
    ]
    persistence = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(_jobs(cluster))}
    return [
        _program(
            cluster,
            HEAD,
            head,
            ports=cluster.head_ports,
            agent=head_ports[first + _AGENT],
            environment={**persistence, "DASHBOARD_METRIC_PORT": str(metrics)},
        ),
        _program(
            cluster,
            WORKER,
            worker,
            ports=cluster.worker_ports,
            agent=cluster.worker_ports[_AGENT],
            environment={},
        ),
    ]


def _program(
    cluster: Cluster,
    name: str,
    arguments: list[str],
    *,
    ports: tuple[int, ...],
    agent: int,
    environment: Mapping[str, str],
) -> Program:
    return Program(
        name=name,
        command=(
            *(sys.executable, "-m", "flywheel.services.ray_node", "start", "--block"),
            *("--node-ip-address", HOST, "--disable-usage-stats"),
            *("--object-store-memory", str(_STORE_BYTES), "--include-log-monitor", "false"),
            *arguments,
        ),
        ports=ports,
        ready=partial(_ready, cluster, agent, head=name == HEAD),
        environment={**_environment(cluster), **environment},
        directory=cluster.folder,
        wave=1 if name == HEAD else 2,
        start_seconds=180,
    )


def _environment(cluster: Cluster) -> dict[str, str]:
    # A job is started as `python -m ...` in the worker's environment.
    package = str(Path(flywheel.__file__).parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join([package, *([before] if before else [])]),
        "FLYWHEEL_CACHE": str(cluster.cache),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(_token_file(cluster)),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray would start idle workers with the first job, two CPU-seconds each; a job brings an
        # environment of its own and takes none of them.
        "RAY_prestart_worker_first_driver": "0",
        # What has to be finished before a stop is finished by the job itself.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        # How long a worker does without its head before it gives up.
        "RAY_gcs_rpc_server_reconnect_timeout_s": "120",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _ready(cluster: Cluster, agent: int, *, head: bool) -> bool:
    if head and not _answers(cluster, f"{_url(cluster)}/api/jobs/"):
        return False
    return _answers(cluster, f"http://{HOST}:{agent}/api/local_raylet_healthz")


def _url(cluster: Cluster) -> str:
    return f"http://{HOST}:{cluster.head_ports[0]}"


def _token(cluster: Cluster) -> str:
    return _token_file(cluster).read_text(encoding="utf-8")


def _graphics_cards() -> int:
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _answers(cluster: Cluster, address: str) -> bool:
    return answers(address, headers={"Authorization": f"Bearer {_token(cluster)}"})


def _numbered(flags: tuple[str, ...], ports: "list[int] | tuple[int, ...]") -> list[str]:
    return [word for flag, port in zip(flags, ports, strict=True) for word in (flag, str(port))]


def _token_file(cluster: Cluster) -> Path:
    return cluster.secrets / _SECRET_FILE


def _jobs(cluster: Cluster) -> Path:
    return cluster.folder / "jobs"
