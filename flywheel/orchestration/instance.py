"""The folder that holds Dagster's own storage for one deployment."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

__all__ = ["bury_dead_runs", "prepare_dagster_home"]

_CONFIGURATION = """\
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 20
concurrency:
  pools:
    default_limit: 1
retention:
  sensor:
    purge_after_days: {skipped: 2, failure: 30, success: 90}
"""


def prepare_dagster_home(home: Path) -> Path:
    """Make ``<home>/dagster`` with its ``dagster.yaml`` and return it; an edited file stays."""
    folder = (home / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "dagster.yaml"
    if not configuration.exists():
        configuration.write_text(_CONFIGURATION)
    return folder


def bury_dead_runs(instance: "dg.DagsterInstance") -> list[str]:
    """Report the runs that a killed process left behind as failed, and free their pool slots.

    Call it only while nothing else executes on this instance. Without it a killed training would
    hold the pool ``gpu`` for ever, and the next one would wait for it.
    """
    import dagster as dg  # noqa: PLC0415 - `flywheel up` stays quick

    dead = instance.get_runs(
        dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
                dg.DagsterRunStatus.CANCELING,
            ]
        )
    )
    for run in dead:
        instance.report_run_failed(run, "Its process was killed; the stage is started again.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]
