"""New events in the log start the landing job."""

import hashlib

import dagster as dg

from flywheel.orchestration.keys import LANDING_JOB
from flywheel.orchestration.resources import PlatformParam
from flywheel.turn.landing import unread

__all__ = ["new_events_sensor"]


@dg.sensor(
    name="new_events_sensor",
    job_name=LANDING_JOB,
    minimum_interval_seconds=30,
    description="Asks for a landing when the log holds records that the lake does not.",
)
def new_events_sensor(
    context: dg.SensorEvaluationContext, platform: PlatformParam
) -> dg.SensorResult:
    """Ask for one landing per state of the log; the run key names the unread positions."""
    lag = unread(platform)
    waiting = sum(records for _, records in lag.values())
    context.log.info("%s unread records in %s partitions", waiting, len(lag))
    if not waiting:
        return dg.SensorResult(skip_reason="Everything in the log has landed.")
    positions = ";".join(f"{key}@{end}" for key, (end, records) in sorted(lag.items()) if records)
    run_key = hashlib.sha256(positions.encode()).hexdigest()[:16]
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=run_key, job_name=LANDING_JOB)])
