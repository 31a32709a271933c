"""What sensors and schedules share: whether and how often they run, and what is under way."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

__all__ = ["UNFINISHED", "Automation", "hourly_key", "in_flight"]

# One that was created and not queued is left out: it is queued in the same moment, or whoever made it
# was killed, and it would be waited for without an end.
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dataclass(frozen=True)
class Automation:
    """Whether sensors and schedules run unless switched off in the UI, and how often."""

    runs: bool = True
    sensor_seconds: int = 30

    @property
    def sensor_status(self) -> dg.DefaultSensorStatus:
        """Default state of a sensor."""
        return dg.DefaultSensorStatus.RUNNING if self.runs else dg.DefaultSensorStatus.STOPPED

    @property
    def schedule_status(self) -> dg.DefaultScheduleStatus:
        """Default state of a schedule."""
        return dg.DefaultScheduleStatus.RUNNING if self.runs else dg.DefaultScheduleStatus.STOPPED


def hourly_key(*facts: str, now: datetime) -> str:
    """Name the run that these facts ask for; the same facts ask again in the next hour.

    Dagster remembers a run key for ever, also of a run that failed.
    """
    identity = "\n".join((*facts, f"{now:%Y-%m-%dT%H}"))
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def in_flight(instance: dg.DagsterInstance, job: str) -> bool:
    """Return whether a run of a job is queued or under way."""
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=UNFINISHED)) > 0
