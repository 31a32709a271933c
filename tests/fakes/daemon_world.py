"""A deployment that a real Dagster daemon runs: its past is played, its present is the daemon's.

The first cycle was opened, trained, approved and promoted twelve days ago; since then nothing has
been done. Programs are started as an operator would, and killed as an operator would not.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster._core.scheduler.instigation import InstigatorTick

from flywheel.orchestration.instance import (
    DagsterHome,
    dagster_programs,
    open_instance,
    prepare_dagster_home,
)
from flywheel.release.approval import approve
from flywheel.settings import load_settings
from flywheel.state import Cycle
from tests.fakes.traffic_process import DRIFTED_DAYS, STABLE_DAYS
from tests.fakes.turn_world import TurnWorld

__all__ = ["DaemonWorld", "free_port", "until"]

_REPOSITORY = Path(__file__).parent.parent.parent
_WORKLOAD = {
    "cadence": "yearly",
    "review": {"budget": 10_000},  # so that two days' share of it is enough to judge a candidate
    "drift": {"window_days": 1, "windows": 2, "minimum_events": 20},
    "trigger": {"cooldown_days": 1},
}


def until(
    condition: Callable[[], Any], what: str, *, seconds: float = 180, alive: Any = None
) -> Any:
    """Wait until a condition holds and return what it returned; a dead program ends the wait."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        assert alive is None or alive.poll() is None, f"a program ended while waiting: {what}"
        time.sleep(0.25)
    return found


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class DaemonWorld:
    """One deployment, its processes and its Dagster instance."""

    past_events = 90

    def __init__(
        self, home: Path, *, workload: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        """Play the past on the settings' services; what runs afterwards gets the same settings."""
        self.settings = load_settings(
            home=home, workloads=home / "workloads", cache=home, **settings
        )
        self.home: DagsterHome = prepare_dagster_home(self.settings)
        self.environment = os.environ | dict(self.home.environment) | _variables(self.settings)
        self.environment["PYTHONPATH"] = str(_REPOSITORY)
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.start = today - timedelta(days=STABLE_DAYS + DRIFTED_DAYS + 2)
        with open_instance(self.home):
            pass  # two programs that make the storage at the same moment would break it
        with dg.instance_for_test() as instance:
            self.world = TurnWorld(
                home,
                instance,
                start=self.start,
                workload=_WORKLOAD | (workload or {}),
                settings=self.settings,
            )
            self._promote_first(days=2)
        self.platform = self.world.platform

    def _promote_first(self, *, days: int) -> None:
        world = self.world
        world.import_seed()
        world.send(self.past_events)
        world.move(days=days)
        assert all(run.success for run in world.dagster.tick("new_events_sensor"))
        assert world.dagster.run("parts_sample_job").success
        world.annotate()
        assert all(run.success for run in world.dagster.tick("finished_reviews_sensor"))
        world.open_cycle()
        assert [run.success for run in world.dagster.tick("trigger_sensor")] == [True]
        [cycle] = world.platform.state.open_cycles("parts")
        approve(world.platform.state, "parts", cycle.name, actor="mara", reason="better")
        assert [run.success for run in world.dagster.tick("granted_approvals_sensor")] == [True]
        world.clock.move_to(datetime.now(UTC))

    @property
    def expected_trigger(self) -> str:
        """Say what opens the next cycle: drift, unless a year began within the traffic."""
        return "drift" if self.start.year == datetime.now(UTC).year else "calendar"

    def new_cycles(self) -> list[Cycle]:
        """List the cycles that were opened since the past was played."""
        return [c for c in self.platform.state.cycles("parts") if c.trigger != "manual"]

    def instance(self) -> dg.DagsterInstance:
        """Open the instance that the daemon writes to."""
        os.environ.update({k: v for k, v in self.home.environment.items() if "URL" in k})
        return dg.DagsterInstance.from_config(str(self.home.folder))

    def start_program(self, name: str, *, port: int = 3000) -> subprocess.Popen[bytes]:
        """Start the daemon or the webserver as `flywheel services` does."""
        command = dagster_programs(_REPOSITORY / "workspace.yaml", port=port)[name]
        with (self.home.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=_REPOSITORY,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._programs[name] = process
        return process

    def start_webserver(self) -> str:
        """Start the webserver, wait until it answers, and return its address."""
        port = free_port()
        process = self.start_program("dagster-webserver", port=port)
        url = f"http://127.0.0.1:{port}"
        until(lambda: _answers(url), "the webserver answers", alive=process)
        return url

    def produce(self, producers: int = 3) -> None:
        """Let several processes send the traffic since the promotion."""
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.traffic_process", str(n), str(producers)],
                env=self.environment,
                cwd=_REPOSITORY,
            )
            for n in range(producers)
        ]
        assert [process.wait(120) for process in running] == [0] * producers

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

    def kill(self, name: str, *, group: bool = False) -> None:
        """Kill a program with SIGKILL, alone or with every process of its session."""
        process = self._programs.pop(name)
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait(30)

    def log(self, name: str) -> str:
        """Return the last lines that a program wrote."""
        return (self.home.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End every process of this deployment and close its stores."""
        for process in self._programs.values():
            process.terminate()
        _, alive = psutil.wait_procs(self._processes(), timeout=20)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=20)
        for program in self._programs.values():
            program.wait(20)
        self.platform.close()

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
