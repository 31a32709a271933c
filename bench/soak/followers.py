"""Real `flywheel ingest --follow` processes of the soak: started, sampled, killed, asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from flywheel.errors import UnavailableError
from flywheel.io.http import HttpClient, HttpService
from flywheel.services.supervisor.health import answers

__all__ = ["ROOT", "Follower", "Usage", "environment", "processor_seconds"]

ROOT = Path(__file__).parent.parent.parent
_PROGRAM = "from flywheel.cli import main; main()"
_END_SECONDS = 120.0


class Usage:
    """Memory over time and processor time of one process, as far as it could be seen."""

    def __init__(self, pid: int) -> None:
        self.rss: list[tuple[float, int]] = []
        self.processor_seconds = 0.0
        self._process = psutil.Process(pid)

    def sample(self) -> None:
        """Look at the process, if it is still there."""
        try:
            with self._process.oneshot():
                times = self._process.cpu_times()
                self.rss.append((time.monotonic(), self._process.memory_info().rss))
        except psutil.Error:
            return
        self.processor_seconds = times.user + times.system


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def environment(home: Path, settings: Mapping[str, object]) -> dict[str, str]:
    """Return the variables of a program that works on a home, with these settings."""
    given = {"home": home, "workloads": home / "workloads"} | dict(settings)
    variables = {f"FLYWHEEL_{name.upper()}": str(value) for name, value in given.items()}
    return os.environ | variables | {"PYTHONPATH": str(ROOT)}


class Follower:
    """One process of the group; its log lines go to a file."""

    def __init__(self, home: Path, settings: Mapping[str, object], *, name: str) -> None:
        self.name = name
        self.killed = False
        self._log = home / f"{name}.log"
        given = environment(home, {"metrics_port": 0} | dict(settings))
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-c", _PROGRAM, "ingest", "--follow", "--json"],
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=given,
            )
        self.usage = Usage(self._process.pid)

    def require_alive(self) -> None:
        """Raise UnavailableError where it ended by itself."""
        if not self.killed and self._process.poll() is not None:
            raise UnavailableError(
                f"{self.name} ended with exit code {self._process.returncode}.",
                next_step=f"it said: {self._log.read_text()[-2000:]}",
            )

    def kill(self) -> None:
        """Kill it with -9."""
        self.killed = True
        self.usage.sample()
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it gracefully."""
        if self._process.poll() is None:
            self.usage.sample()
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def well(self) -> bool:
        """Return whether it has joined and is healthy."""
        try:
            return answers(f"http://127.0.0.1:{self._port()}/healthz")
        except UnavailableError:
            return False

    def buckets(self, name: str) -> dict[float, float]:
        """Return a histogram of its metrics: counts up to each bound, over all labels."""
        counts: dict[float, float] = {}
        url = f"http://127.0.0.1:{self._port()}"
        with HttpClient(HttpService(url, self.name), seconds=10) as client:
            text = client.send("GET", "/metrics").text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == f"{name}_bucket":
                    bound = float(sample.labels["le"])
                    counts[bound] = counts.get(bound, 0.0) + sample.value
        return counts

    def _port(self) -> int:
        for line in self._log.read_text().splitlines():
            if line.startswith("{") and (said := json.loads(line))["event"] == "serving":
                return int(said["port"])
        raise UnavailableError(f"{self.name} does not serve yet.", next_step="wait a moment")
