"""New events in the log start the landing job, unless another process is landing them."""

import json
from collections.abc import Mapping

import dagster as dg

from flywheel.orchestration.automation import Automation, hourly_key, in_flight
from flywheel.orchestration.keys import LANDING_JOB, PLATFORM
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.landing import unread

__all__ = ["new_events_sensor"]

# Landings of another process are shown at most this often: a stream has no end.
_SHOWN_SECONDS = 300


def new_events_sensor(automation: Automation) -> dg.SensorDefinition:
    """Build the sensor that watches the log.

    Its cursor holds the positions that had landed at the last look, and at the last event that was
    shown: what moves without a landing of Dagster's is the work of a `flywheel ingest --follow`,
    which needs no second reader beside it.
    """

    @dg.sensor(
        name="new_events_sensor",
        job_name=LANDING_JOB,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description=(
            "Starts a landing when the log holds records that the lake does not, and nobody is at "
            "them; shows on the asset what a `flywheel ingest --follow` landed."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        lag = unread(platform)
        waiting = sum(records for _, records in lag.values())
        landed = {key: end - records for key, (end, records) in sorted(lag.items())}
        context.log.info("%s unread records in %s partitions", waiting, len(lag))
        if waiting and in_flight(context.instance, LANDING_JOB):
            return dg.SensorResult(skip_reason=f"A landing is at work on {waiting} records.")
        now = platform.clock.now()
        before = json.loads(context.cursor) if context.cursor else None
        moved = before is not None and before["landed"] != landed
        landings = context.instance.get_runs_count(dg.RunsFilter(job_name=LANDING_JOB))
        moved_by_others = before is not None and moved and before["landings"] == landings
        # What our own landing moved is shown by its own run.
        reported = landed if before is None or (moved and not moved_by_others) else before["shown"]
        at = now.timestamp() if before is None else before["shown_at"]
        events = []
        if reported != landed and now.timestamp() - at >= _SHOWN_SECONDS:
            events.append(_landing_event(landed, reported, waiting))
            reported, at = landed, now.timestamp()
        cursor = json.dumps(
            {"landed": landed, "landings": landings, "shown": reported, "shown_at": at}
        )
        if not waiting or moved_by_others:
            who = (
                "Another process is landing"
                if moved_by_others
                else "Everything in the log has landed"
            )
            return dg.SensorResult(
                skip_reason=f"{who}; {waiting} records are unread.",
                cursor=cursor,
                asset_events=events,
            )
        ends = (f"{key}@{end}" for key, (end, records) in lag.items() if records)
        request = dg.RunRequest(run_key=hourly_key(*sorted(ends), now=now), job_name=LANDING_JOB)
        return dg.SensorResult(run_requests=[request], cursor=cursor, asset_events=events)

    return sensor


def _landing_event(
    landed: Mapping[str, int], reported: Mapping[str, int], waiting: int
) -> dg.AssetMaterialization:
    read = sum(at - reported.get(partition, 0) for partition, at in landed.items())
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey([PLATFORM, "landing"]),
        description="Landed by another process than Dagster's, seen by new_events_sensor.",
        metadata={"records read": read, "unread": waiting},
    )
