"""New events in the log start the landing job."""

import json
from datetime import UTC, datetime

import dagster as dg

from flywheel.orchestration.automation import hourly_key, in_flight, sensor_status
from flywheel.orchestration.keys import LANDING_JOB
from flywheel.orchestration.resources import PlatformParam
from flywheel.turn.landing import unread

__all__ = ["new_events_sensor"]


def new_events_sensor(*, runs: bool = True) -> dg.SensorDefinition:
    """Build the sensor that watches the log."""

    @dg.sensor(
        name="new_events_sensor",
        job_name=LANDING_JOB,
        minimum_interval_seconds=30,
        default_status=sensor_status(runs=runs),
        description=(
            "Asks for a landing when the log holds records that the lake does not, and nobody "
            "(a `flywheel ingest --follow`, or a landing) is at them."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        lag = unread(platform)
        waiting = sum(records for _, records in lag.values())
        landed = {key: end - records for key, (end, records) in sorted(lag.items())}
        cursor = json.dumps(landed)
        context.log.info("%s unread records in %s partitions", waiting, len(lag))
        if not waiting:
            return dg.SensorResult(skip_reason="Everything in the log has landed.", cursor=cursor)
        if in_flight(context.instance, LANDING_JOB):
            return dg.SensorResult(skip_reason=f"A landing is at work on {waiting} records.")
        moved = context.cursor is not None and json.loads(context.cursor) != landed
        if moved and not _landed_here(context):
            return dg.SensorResult(
                skip_reason=f"Another process is landing; {waiting} records are unread.",
                cursor=cursor,
            )
        ends = (f"{key}@{end}" for key, (end, records) in sorted(lag.items()) if records)
        request = dg.RunRequest(
            run_key=hourly_key(*ends, now=platform.clock.now()), job_name=LANDING_JOB
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return sensor


def _landed_here(context: dg.SensorEvaluationContext) -> bool:
    # A position that moved although no landing of Dagster's ran was moved by another process.
    last = context.last_tick_completion_time
    if last is None:
        return True
    since = datetime.fromtimestamp(last, UTC)
    landings = dg.RunsFilter(job_name=LANDING_JOB, updated_after=since)
    return context.instance.get_runs_count(landings) > 0
