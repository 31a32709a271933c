"""The folder that holds Dagster's own storage for one deployment."""

from pathlib import Path

__all__ = ["prepare_dagster_home"]

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
