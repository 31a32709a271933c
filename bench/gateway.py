"""What the gateway adds to the model server behind it: time, requests a second, CPU a request.

Both are processes of the same model on the same machine, asked in turn by the same clients; every
answer of the gateway is recorded on disk before it leaves.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import yaml

from bench.ratio import Ratio
from flywheel.io.patience import Deadline, poll
from flywheel.services.supervisor.health import answers
from flywheel.services.supervisor.network import free_ports
from flywheel.settings import load_settings
from flywheel.simulation.traffic import pretraining_texts
from flywheel.usecases.keys import create_key
from flywheel.wiring import Platform
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_REPOSITORY = Path(__file__).parents[1]
_WORKLOAD = "defect_reports"
_CLIENTS = (1, 16, 100)
_SECONDS = 4.0
_ROUNDS = 3
_START_SECONDS = 120.0


@dataclass(frozen=True)
class _Round:
    """Times of single requests in seconds, and the whole in seconds and CPU-seconds."""

    times: tuple[float, ...]
    seconds: float
    cpu: float

    @property
    def p50(self) -> float:
        return statistics.median(self.times) * 1000

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[98] * 1000

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu / len(self.times) * 1000


@dataclass(frozen=True)
class _Server:
    port: int
    pid: int


def measure() -> list[Ratio]:
    """Ask both with 1, 16 and 100 requests at once, in turn, and compare the medians."""
    with tempfile.TemporaryDirectory() as folder:
        home, key, texts = _deployment(Path(folder))
        with _serving("direct", home) as direct, _serving("gateway", home) as gateway:
            rows: list[Ratio] = []
            for clients in _CLIENTS:
                rounds: dict[_Server, list[_Round]] = {direct: [], gateway: []}
                for _ in range(_ROUNDS):
                    for server, measured in rounds.items():
                        measured.append(_ask(server, clients, key, texts))
                rows += _rows(clients, rounds[gateway], rounds[direct])
            return rows


def _rows(clients: int, gateway: Sequence[_Round], direct: Sequence[_Round]) -> list[Ratio]:
    def row(name: str, unit: str, aim: str = "-", most: float | None = None) -> Ratio:
        ours, theirs = (
            statistics.median(getattr(one, name) for one in rounds) for rounds in (gateway, direct)
        )
        good = most is None or ours - theirs <= most
        return Ratio(f"gateway, {clients} at once: {name}", ours, theirs, unit, aim, good)

    return [
        row("p50", "ms", "at most 5 ms more", 5.0),
        row("p99", "ms", "at most 10 ms more", 10.0),
        row("rate", "/s"),
        row("cpu_ms", "ms"),
    ]


def _deployment(folder: Path) -> tuple[Path, str, list[str]]:
    home = folder / "home"
    (home / "workloads").mkdir(parents=True)
    workload = load_workload(_REPOSITORY / "deploy" / "workloads" / f"{_WORKLOAD}.yaml")
    text = yaml.safe_dump(workload.model_dump(mode="json", by_alias=True, exclude_defaults=True))
    (home / "workloads" / f"{_WORKLOAD}.yaml").write_text(text)
    settings = load_settings(home=home, workloads=home / "workloads", cache=load_settings().cache)
    platform = Platform(settings)
    texts = pretraining_texts(count=2_000, seed=0)
    platform.build_base(workload, texts)
    key = create_key(platform, "bench", person="bench").key
    platform.close()
    return home, key, list(texts[:1000])


@contextmanager
def _serving(mode: str, home: Path) -> Iterator[_Server]:
    """Run one of the two servers while the block runs."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.gateway_server", mode, str(home), str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=_REPOSITORY, env=environment)  # noqa: S603
    try:
        _wait_until_ready(port)
        yield _Server(port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_ready(port: int) -> None:
    url = f"http://127.0.0.1:{port}/readyz"
    if not poll(lambda: answers(url), Deadline(_START_SECONDS), pause=0.2):
        raise TimeoutError(f"port {port} did not become ready in {_START_SECONDS:g} s")


def _ask(server: _Server, clients: int, key: str, texts: Sequence[str]) -> _Round:
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    started = time.perf_counter()
    times = asyncio.run(_clients(server.port, clients, key, texts, started + _SECONDS))
    seconds = time.perf_counter() - started
    after = process.cpu_times()
    cpu = (after.user + after.system) - (before.user + before.system)
    return _Round(tuple(times), seconds, cpu)


async def _clients(
    port: int, clients: int, key: str, texts: Sequence[str], end: float
) -> list[float]:
    times: list[float] = []
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as client:

        async def ask(number: int) -> None:
            while (began := time.perf_counter()) < end:
                messages = [{"role": "user", "content": texts[(number := number + 7) % len(texts)]}]
                response = await client.post(url, json={"model": _WORKLOAD, "messages": messages})
                response.raise_for_status()
                times.append(time.perf_counter() - began)

        await asyncio.gather(*(ask(number * 31) for number in range(clients)))
    return times
