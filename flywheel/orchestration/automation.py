"""What sensors and schedules share: whether they run from the start, and what is under way."""

import hashlib
from datetime import datetime

import dagster as dg

__all__ = ["hourly_key", "in_flight", "schedule_status", "sensor_status"]

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def sensor_status(*, runs: bool) -> dg.DefaultSensorStatus:
    """Return the state that a sensor has until somebody switches it in the UI."""
    return dg.DefaultSensorStatus.RUNNING if runs else dg.DefaultSensorStatus.STOPPED


def schedule_status(*, runs: bool) -> dg.DefaultScheduleStatus:
    """Return the state that a schedule has until somebody switches it in the UI."""
    return dg.DefaultScheduleStatus.RUNNING if runs else dg.DefaultScheduleStatus.STOPPED


def hourly_key(*facts: str, now: datetime) -> str:
    """Name the run that these facts ask for; the same facts ask again in the next hour.

    Dagster remembers a run key for ever, also of a run that failed.
    """
    told = "\n".join((*facts, f"{now:%Y-%m-%dT%H}"))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def in_flight(instance: dg.DagsterInstance, job: str) -> bool:
    """Say whether a run of a job is queued or under way."""
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=_UNFINISHED)) > 0
