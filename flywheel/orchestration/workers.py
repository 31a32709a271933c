"""Run workers that died: found by their process id, reported as failed, their pool slots freed."""

from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["MACHINE_TAG", "fail_orphaned_runs", "worker_is_alive"]

MACHINE_TAG = "flywheel/machine"  # of a run: where its process was started
_CLOCK_SECONDS = 2.0


def fail_orphaned_runs(instance: "dg.DagsterInstance") -> list[str]:
    """Report the runs that a killed process left behind as failed, and free their pool slots.

    Without it a killed training would hold the pool ``gpu`` for ever, and the next one would wait
    for it. A run whose process lives is left alone.
    """
    import dagster as dg

    begun = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ]
    )
    dead = [run for run in instance.get_runs(begun) if not worker_is_alive(instance, run.run_id)]
    for run in dead:
        instance.report_run_failed(run, "Its process was killed; the stage is started again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def worker_is_alive(instance: "dg.DagsterInstance", run_id: str) -> bool | None:
    """Return whether the process that executes a run lives on this machine; None where none began."""
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
