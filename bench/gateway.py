"""What the gateway adds to the model server behind it: time, requests a second, CPU a request.

The same model on the same machine is asked in turn by the same clients: directly over HTTP; in the
process of a gateway, as the embedded defaults have it; and by a gateway of its own process, as it
stands before a vLLM. So many clients at once ask again as soon as they are answered, and 100 requests
a second come at random moments. Every answer of a gateway is recorded on disk before it leaves.
"""

import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from bench.gateway_server import asked_texts
from bench.ratio import Ratio
from flywheel.io.patience import Deadline, poll
from flywheel.services.supervisor.health import answers
from flywheel.services.supervisor.network import free_ports
from flywheel.settings import load_settings
from flywheel.usecases.keys import create_key
from flywheel.wiring import Platform
from flywheel.workload.files import load_workload

__all__ = ["measure"]

_REPOSITORY = Path(__file__).parents[1]
_WORKLOAD = "defect_reports"
_CLIENTS = (1, 16, 100)
_A_SECOND = 100
_SEED = 0
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
    """Where a server is asked, and the processes that work for an answer of it."""

    port: int
    pids: tuple[int, ...]


def measure() -> list[Ratio]:
    """Ask each in turn, with 1, 16 and 100 requests at once and 100 a second; compare the medians."""
    with tempfile.TemporaryDirectory() as folder:
        home, key, texts = _deployment(Path(folder))
        with (
            _serving("direct", home) as direct,
            _serving("gateway", home) as gateway,
            _serving("gateway", home, before=direct) as apart,
        ):
            rows: list[Ratio] = []
            for name, load in _loads().items():
                rounds: dict[_Server, list[_Round]] = {direct: [], gateway: [], apart: []}
                for _ in range(_ROUNDS):
                    for server, measured in rounds.items():
                        measured.append(_measure(load, server, key, texts))
                rows += _rows(f"gateway, {name}", rounds[gateway], rounds[direct])
                rows += _rows(f"gateway of its own, {name}", rounds[apart], rounds[direct])
            return rows


def _loads() -> dict[str, "_Load"]:
    at_once = {f"{clients} at once": partial(_at_once, clients) for clients in _CLIENTS}
    return {**at_once, f"{_A_SECOND} a second": _at_random_moments}


def _rows(load: str, gateway: Sequence[_Round], direct: Sequence[_Round]) -> list[Ratio]:
    def row(name: str, unit: str, most: float | None = None) -> Ratio:
        ours, theirs = (
            statistics.median(getattr(one, name) for one in rounds) for rounds in (gateway, direct)
        )
        aim = "-" if most is None else f"at most {most:g} ms more"
        good = most is None or ours - theirs <= most
        return Ratio(f"{load}: {name}", ours, theirs, unit, aim, good)

    # Where clients ask again at once, a time is what the others' work leaves: no aim there.
    has_aims = load.endswith(f"{_A_SECOND} a second")
    return [
        row("p50", "ms", 5.0 if has_aims else None),
        row("p99", "ms", 10.0 if has_aims else None),
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
    texts = asked_texts()
    platform.build_base(workload, texts)
    key = create_key(platform, "bench", person="bench").key
    platform.close()
    return home, key, texts


@contextmanager
def _serving(mode: str, home: Path, before: _Server | None = None) -> Iterator[_Server]:
    """Run a server while the block runs; ``before``: a gateway that asks that one as its vLLM."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.gateway_server", mode, str(home), str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if before is not None:
        url = f"http://127.0.0.1:{before.port}"
        environment |= {"FLYWHEEL_MODEL_SERVER": "vllm", "FLYWHEEL_VLLM_URL": url}
    process = subprocess.Popen(command, cwd=_REPOSITORY, env=environment)  # noqa: S603
    try:
        _wait_until_ready(port)
        yield _Server(port, (process.pid, *(() if before is None else before.pids)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_ready(port: int) -> None:
    url = f"http://127.0.0.1:{port}/readyz"
    if not poll(lambda: answers(url), Deadline(_START_SECONDS), pause=0.2):
        raise TimeoutError(f"port {port} did not become ready in {_START_SECONDS:g} s")


def _measure(load: "_Load", server: _Server, key: str, texts: Sequence[str]) -> _Round:
    before = _cpu_seconds(server)
    started = time.perf_counter()
    times = asyncio.run(_Clients(server.port, key, texts).ask_all(load))
    seconds = time.perf_counter() - started
    return _Round(tuple(times), seconds, _cpu_seconds(server) - before)


def _cpu_seconds(server: _Server) -> float:
    taken = [psutil.Process(pid).cpu_times() for pid in server.pids]
    return sum(one.user + one.system for one in taken)


class _Clients:
    """Clients with a connection each: a shared pool of 100 would cost more than the servers do."""

    def __init__(self, port: int, key: str, texts: Sequence[str]) -> None:
        self._url = f"http://127.0.0.1:{port}/v1/chat/completions"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._texts = texts
        self._number = 0
        self._open = AsyncExitStack()
        self._idle: list[httpx.AsyncClient] = []
        self.times: list[float] = []

    async def ask_all(self, load: "_Load") -> list[float]:
        """Return the seconds of each request of a load."""
        async with self._open:
            await load(self)
        return self.times

    async def ask(self, since: float | None = None) -> None:
        """Ask for one answer; its time counts from ``since``, by default from now."""
        since = time.perf_counter() if since is None else since
        client = self._idle.pop() if self._idle else await self._client()
        self._number += 1
        text = self._texts[self._number * 7 % len(self._texts)]
        body = {"model": _WORKLOAD, "messages": [{"role": "user", "content": text}]}
        response = await client.post(self._url, json=body)
        response.raise_for_status()
        self.times.append(time.perf_counter() - since)
        self._idle.append(client)

    async def _client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(headers=self._headers, timeout=60, verify=False)  # noqa: S501 - this machine, without TLS
        return await self._open.enter_async_context(client)


_Load = Callable[[_Clients], Coroutine[Any, Any, None]]


async def _at_once(clients: int, asked: _Clients) -> None:
    end = time.perf_counter() + _SECONDS

    async def ask_on() -> None:
        while time.perf_counter() < end:
            await asked.ask()

    await asyncio.gather(*(ask_on() for _ in range(clients)))


async def _at_random_moments(asked: _Clients) -> None:
    gaps = random.Random(_SEED)  # noqa: S311 - arrivals of a bench
    moment, end = time.perf_counter(), time.perf_counter() + _SECONDS
    async with asyncio.TaskGroup() as group:
        while (moment := moment + gaps.expovariate(_A_SECOND)) < end:
            await asyncio.sleep(moment - time.perf_counter())
            group.create_task(asked.ask(moment))
