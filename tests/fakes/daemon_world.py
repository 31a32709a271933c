"""A deployment that a real Dagster daemon runs: its past is played, its present is the daemon's.

The first cycle was opened, trained, approved and promoted twelve days ago; since then nothing has
been done. Producers and the daemon do the rest.
"""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from flywheel.release.approval import approve
from flywheel.settings import load_settings
from flywheel.state import Cycle
from tests.fakes.dagster_instance import instance_like_ours
from tests.fakes.dagster_programs import REPOSITORY, DagsterPrograms
from tests.fakes.in_process_trainer import InProcessTrainer
from tests.fakes.traffic_process import DRIFTED_DAYS, STABLE_DAYS
from tests.fakes.turn_world import TurnWorld

__all__ = ["DaemonWorld"]

_WORKLOAD = {
    "cadence": "yearly",
    "review": {"budget": 10_000},  # so that two days' share of it is enough to judge a candidate
    "drift": {"window_days": 1, "windows": 2, "minimum_events": 20},
    "trigger": {"cooldown_days": 1},
}


class DaemonWorld(DagsterPrograms):
    """One deployment, its processes and its Dagster instance."""

    past_events = 90

    def __init__(
        self, home: Path, *, workload: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        """Play the past on the settings' services; what runs afterwards gets the same settings."""
        super().__init__(
            load_settings(
                home=home, workloads=home / "workloads", cache=home, sensor_seconds=5, **settings
            )
        )
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.start = today - timedelta(days=STABLE_DAYS + DRIFTED_DAYS + 2)
        with instance_like_ours() as instance:
            self.world = TurnWorld(
                home,
                instance,
                start=self.start,
                workload=_WORKLOAD | (workload or {}),
                settings=self.settings,
                launcher=InProcessTrainer(),  # of the past alone: the daemon's runs choose theirs
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
        [cycle] = world.platform.state.cycles.list_open("parts")
        approve(world.platform.state, cycle.ref, actor="mara", reason="better")
        assert [run.success for run in world.dagster.tick("granted_approvals_sensor")] == [True]
        world.clock.move_to(datetime.now(UTC))

    @property
    def expected_trigger(self) -> str:
        """Say what opens the next cycle: drift, unless a year began within the traffic."""
        return "drift" if self.start.year == datetime.now(UTC).year else "calendar"

    def new_cycles(self) -> list[Cycle]:
        """List the cycles that were opened since the past was played."""
        return [c for c in self.platform.state.cycles.of("parts") if c.trigger != "manual"]

    def change_workload(self, **changes: Any) -> None:
        """Edit the workload's file, as its owner would."""
        file = self.settings.workload_folder / "parts.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | changes))

    def produce(self, producers: int = 3) -> None:
        """Let several processes send the traffic since the promotion."""
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.traffic_process", str(n), str(producers)],
                env=self.environment,
                cwd=REPOSITORY,
            )
            for n in range(producers)
        ]
        assert [process.wait(120) for process in running] == [0] * producers

    def close(self) -> None:
        """End every process of this deployment and close its stores."""
        super().close()
        self.platform.close()
