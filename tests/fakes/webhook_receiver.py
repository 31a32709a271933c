"""The command `flywheel webhooks` as a process, for tests that hurt it."""

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from flywheel.clock import SystemClock
from flywheel.review.label_studio.provisioning import HEADER
from flywheel.state import State
from flywheel.workload.model import Workload
from tests.fakes.dagster_programs import REPOSITORY
from tests.fakes.waiting import wait_until

__all__ = ["SECONDS", "ReceiverProcess"]

SECONDS = 30


class ReceiverProcess:
    """One receiver, on a deployment with one workload."""

    def __init__(self, folder: Path, label_studio: Any, workload: Workload) -> None:
        self.workload = workload
        self.port = urlsplit(label_studio.webhook_url).port
        self.url = f"{label_studio.webhook_url}/{workload.id}"
        self.secret = label_studio.webhook_secret
        (folder / "workloads").mkdir(parents=True)
        file = folder / "workloads" / f"{workload.id}.yaml"
        file.write_text(workload.model_dump_json(exclude_unset=True))
        self.state = State.open(f"sqlite:///{folder / 'home' / 'state.db'}", SystemClock())
        home = {"home": folder / "home", "workloads": file.parent}
        self.settings = label_studio.settings | home
        self.environment = os.environ | {
            f"FLYWHEEL_{key.upper()}": str(value) for key, value in self.settings.items()
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flywheel.cli", "webhooks"], env=self.environment, cwd=REPOSITORY
        )
        wait_until(lambda: self.call("GET", "/healthz") == 200, "the receiver", seconds=SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the process."""
        if self.process is not None:
            self.process.send_signal(number)
            assert self.process.wait(SECONDS) in {0, -number}
            self.process = None

    def call(self, method: str, path: str, body: bytes = b"", word: str = "") -> int | None:
        """Call the receiver; None when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, {HEADER: word} if word else {})
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def actions(self) -> set[str]:
        """Return what was said and not looked at yet."""
        pending = self.state.inbox.pending().get(self.workload.id)
        return set() if pending is None else set(pending.actions)

    @property
    def memory(self) -> int:
        """Return the process's resident memory in bytes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).memory_info().rss
