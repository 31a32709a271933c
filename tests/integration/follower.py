"""A real `flywheel ingest --follow` process of a test, and what it tells about itself."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.event_makers import make_workload
from tests.fakes.waiting import wait_until
from tests.fakes.workload_file import put_workload

_ROOT = Path(__file__).parents[2]
_PROGRAM = "from flywheel.cli import main; main()"


class FollowerProcess:
    """One process of the service; its log lines are read as they come."""

    def __init__(self, home: Path, **settings: object) -> None:
        workloads = home / "workloads"
        if not workloads.exists():
            put_workload(workloads, make_workload())
        given = {"home": home, "workloads": workloads, "metrics_port": 0} | settings
        environment = os.environ | {f"FLYWHEEL_{k.upper()}": str(v) for k, v in given.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "ingest", "--follow", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=environment | {"PYTHONPATH": str(_ROOT)},
        )
        self.lines: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._report: dict[str, Any] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended, None while it runs."""
        return self._process.poll()

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return its log lines of one kind."""
        return [line for line in self.lines if line["event"] == name]

    def wait_for(self, met: Callable[[], object], *, seconds: float = 180.0) -> None:
        """Wait until something is the case, or fail with what the process said."""
        wait_until(
            lambda: met() or self._process.poll() is not None, seconds=seconds, said=self._state
        )
        if self._process.poll() is not None:
            assert met(), f"it never came: {self._state()}"

    def _state(self) -> str:
        self._reader.join(timeout=5)
        return f"exit code {self._process.poll()}, {self.lines[-5:]}, {self.said[-20:]}"

    def get(self, path: str) -> tuple[int, str]:
        """Ask its endpoint."""
        self.wait_for(lambda: self.named("serving"))
        url = f"http://127.0.0.1:{self.named('serving')[0]['port']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """Return a sample of its metrics, added up over its labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = [s.value for family in families for s in family.samples if s.name == name]
        return sum(samples)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> dict[str, Any] | None:
        """End it, and return the report that it printed, if it did; again: the same."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if self._process.stdout.closed:
            return self._report
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.join(timeout=10)
        with self._process.stdout, self._process.stderr:
            printed = self._process.stdout.read().splitlines()
        self._report = json.loads(printed[-1]) if printed else None
        return self._report

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.said.append(line)
