"""`cycle_run_under_way`: the run of Dagster's that works on a cycle at this moment."""

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.orchestration.workers import started_here, worker_is_alive
from flywheel.settings import Settings

__all__ = ["cycle_run_under_way"]


def cycle_run_under_way(settings: Settings, cycle: CycleRef) -> str | None:
    """Return the id of a queued or running run of a cycle's job, None where there is none.

    A run that was started on this machine and whose process has died does not count. Of a run on
    another machine, or as a Job of Kubernetes, Dagster's storage alone says whether it has ended.
    """
    import dagster as dg

    from flywheel.orchestration.automation import UNFINISHED
    from flywheel.orchestration.keys import cycle_job

    runs_filter = dg.RunsFilter(
        job_name=cycle_job(cycle.workload_id),
        statuses=UNFINISHED,
        tags={"dagster/partition": cycle.name},
    )
    with open_instance(prepare_dagster_home(settings)) as instance:
        for run in instance.get_runs(runs_filter):
            if not started_here(run) or worker_is_alive(instance, run.run_id) is not False:
                return run.run_id
    return None
