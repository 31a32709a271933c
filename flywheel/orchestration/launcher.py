"""Dagster's own launcher of local run processes, which also notices that one has died.

Dagster's launcher learns of a dead worker through the code server that started it. When both die
together (a reboot, a killed process group) the run would stay STARTED for ever and hold its pool
slots. ``dagster.yaml`` names this class, and the daemon's run monitoring asks it. Several machines
may share Dagster's storage; a deployment has one daemon at a time, which launches all its runs.
"""

from dagster import DagsterRun
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)

from flywheel.io.machine import is_container, this_machine
from flywheel.orchestration.workers import MACHINE_TAG, started_here, worker_is_alive

__all__ = ["WatchedRunLauncher"]


class WatchedRunLauncher(DefaultRunLauncher):
    """Start run processes on this machine and say whether they live."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process of a run, noting on which machine."""
        self._instance.add_run_tags(context.dagster_run.run_id, {MACHINE_TAG: this_machine()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Let the daemon's run monitoring ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Look for the run's process on this machine; asked by the daemon alone.

        A container ends with the daemon that was its first program, and the runs of that daemon
        with it. On another machine they may have outlived it: such a run counts as running until it
        ends, its longest time is over, or a person terminates it.
        """
        if started_here(run):
            if worker_is_alive(self._instance, run.run_id) is False:
                return CheckRunHealthResult(WorkerStatus.FAILED, "its process is gone")
        elif is_container(run.tags.get(MACHINE_TAG, "")):
            return CheckRunHealthResult(
                WorkerStatus.FAILED, "the container of the daemon that started it is gone"
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)
