"""Real processes of a stream test, as `tests/faults/stream_process.py` describes them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.fakes.waiting import wait_until

__all__ = ["StreamProcess"]

_ROOT = Path(__file__).parents[2]
_PROGRAM = _ROOT / "tests" / "faults" / "stream_process.py"


class StreamProcess:
    """One process of `stream_process.py`; its lines are read as they come."""

    def __init__(self, job: str, options: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), job, json.dumps(options, default=str)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
        )
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return its lines of one kind."""
        return [line for line in self.lines if line["event"] == name]

    @property
    def running(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    def wait_for(self, name: str) -> None:
        """Wait for a line of a kind."""
        self.wait_until(lambda: self.named(name))

    def wait_until(self, met: Callable[[], object]) -> None:
        """Wait until something is the case while this process lives."""
        wait_until(lambda: met() or not self.running, said=lambda: self.lines[-8:])
        # Its last lines may come after its end was seen.
        if not self.running:
            self._reader.join(timeout=10)
        assert met(), f"it ended with {self._process.poll()}: {self.lines[-8:]}"

    def go_on(self) -> None:
        """Let it leave the step at which it holds or was stopped."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wait(self, seconds: float = 180.0) -> int:
        """Wait for its end, and return its exit code."""
        self._process.wait(timeout=seconds)
        self._reader.join(timeout=10)
        return self._process.returncode

    def end(self) -> int:
        """End it in good order."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Kill it, also when it is stopped or gone."""
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=10)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.lines.append(json.loads(line))
