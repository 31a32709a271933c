"""Dagster's webserver and daemon as an operator starts them, and as a crash ends them."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import psutil
from dagster._core.scheduler.instigation import InstigatorTick

from flywheel.orchestration.instance import (
    DagsterHome,
    dagster_programs,
    open_instance,
    prepare_dagster_home,
)
from flywheel.settings import Settings
from tests.fakes.waiting import wait_until

__all__ = ["REPOSITORY", "DagsterPrograms", "free_port"]

REPOSITORY = Path(__file__).parent.parent.parent


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class DagsterPrograms:
    """The programs of one deployment, and what they wrote."""

    def __init__(self, settings: Settings) -> None:
        """Make Dagster's home and storage for these settings; nothing is started yet."""
        self.settings = settings
        self.home: DagsterHome = prepare_dagster_home(settings)
        self.environment = os.environ | dict(self.home.environment) | _variables(settings)
        self.environment["PYTHONPATH"] = str(REPOSITORY)
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._opened = ExitStack()
        # Here, since two programs that make the storage at the same moment would break it. It stays
        # open: opening it takes 90 ms of a core, and tests look at it again and again.
        with patch.dict(os.environ):
            self._instance = self._opened.enter_context(open_instance(self.home))

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Yield the instance that the daemon writes to."""
        yield self._instance

    def start_program(self, name: str, *, port: int = 3000) -> subprocess.Popen[bytes]:
        """Start the daemon or the webserver as `flywheel services` does."""
        command = dagster_programs(REPOSITORY / "workspace.yaml", port=port)[name]
        with (self.home.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._programs[name] = process
        return process

    def is_running(self, name: str) -> bool:
        """Return whether a program was started and lives."""
        return name in self._programs and self._programs[name].poll() is None

    def start_webserver(self, port: int | None = None) -> str:
        """Start the webserver, wait until it answers, and return its address."""
        port = port or free_port()
        process = self.start_program("dagster-webserver", port=port)
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), "the webserver answers", alive=process)
        return url

    def ticks(self, name: str, *statuses: str) -> list[InstigatorTick]:
        """Return the ticks of a sensor or schedule, newest first."""
        with self.instance() as instance:
            states = [s for s in instance.all_instigator_state() if s.name == name]
            return [
                tick
                for state in states
                for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
                if not statuses or tick.status.value in statuses
            ]

    def runs(self, job: str, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """Return the runs of a job, newest first."""
        with self.instance() as instance:
            return instance.get_runs(dg.RunsFilter(job_name=job, statuses=statuses or None))

    def run(self, run_id: str) -> dg.DagsterRun:
        """Return one run as it is now."""
        with self.instance() as instance:
            found = instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def cursors(self) -> dict[str, str | None]:
        """Return the cursor of every sensor that has ticked."""
        with self.instance() as instance:
            return {
                state.name: getattr(state.instigator_data, "cursor", None)
                for state in instance.all_instigator_state()
            }

    def graphql(self, url: str, query: str) -> dict[str, Any]:
        """Ask the webserver."""
        request = urllib.request.Request(
            f"{url}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def kill(self, name: str, *, group: bool = False) -> None:
        """Kill a program with SIGKILL, alone or with every process of its session."""
        process = self._programs.pop(name)
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait(30)

    def log(self, name: str) -> str:
        """Return the last lines that a program wrote."""
        return (self.home.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End every process of this deployment."""
        for process in self._programs.values():
            process.terminate()
        _, alive = psutil.wait_procs(self._processes(), timeout=20)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=20)
        for program in self._programs.values():
            program.wait(20)
        self._opened.close()

    def _processes(self) -> list[psutil.Process]:
        mine = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DAGSTER_HOME") == str(self.home.folder):
                    mine.append(process)
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return [process for process in mine if process.pid != os.getpid()]


def _variables(settings: Any) -> dict[str, str]:
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {
        f"FLYWHEEL_{name.upper()}": value.get_secret_value()
        if hasattr(value, "get_secret_value")
        else str(value)
        for name, value in given.items()
        if value is not None
    }


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
