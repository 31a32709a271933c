"""Run workers that died: found by their process id, reported as failed, their pool slots freed.

A process id means something on one machine only, and several may share Dagster's storage: a run is
judged by the machine that its tag names.
"""

from typing import TYPE_CHECKING

import psutil

from flywheel.io.machine import this_machine

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["MACHINE_TAG", "fail_orphaned_runs", "started_here", "worker_is_alive"]

MACHINE_TAG = "flywheel/machine"  # of a run: where its process was started
_CLOCK_SECONDS = 2.0


def fail_orphaned_runs(instance: "dg.DagsterInstance") -> list[str]:
    """Report the runs that a killed process left behind on this machine as failed.

    Their pool slots are freed: without it a killed training would hold the pool ``gpu`` for ever,
    and the next one would wait for it. A run whose process lives is left alone, and so is one that
    was started on another machine or by a launcher that names none.
    """
    import dagster as dg

    begun = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ],
        tags={MACHINE_TAG: this_machine()},
    )
    dead = [run for run in instance.get_runs(begun) if not worker_is_alive(instance, run.run_id)]
    for run in dead:
        instance.report_run_failed(run, "Its process was killed; the stage is started again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def started_here(run: "dg.DagsterRun") -> bool:
    """Return whether the process of a run was started on this machine."""
    return run.tags.get(MACHINE_TAG) == this_machine()


def worker_is_alive(instance: "dg.DagsterInstance", run_id: str) -> bool | None:
    """Return whether the process of a run that was started here lives; None where none began."""
    import dagster as dg

    process_facts = None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        metadata = entry.get_dagster_event().engine_event_data.metadata
        if "pid" in metadata:
            process_facts = int(str(metadata["pid"].value)), entry.timestamp
    if process_facts is None:
        return None
    try:
        process = psutil.Process(process_facts[0])
        # A process that began later has got the number of the dead one.
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.create_time() <= process_facts[1] + _CLOCK_SECONDS
        )
    except psutil.NoSuchProcess:
        return False
