"""Whole days of traffic that are not profiled yet, or have changed since, start the daily look."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.orchestration.automation import Automation, hourly_key, in_flight
from flywheel.orchestration.keys import observe_job
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.drift import days_to_profile
from flywheel.workload.model import Workload

__all__ = ["whole_days_sensor"]


def whole_days_sensor(
    workloads: Sequence[Workload], jobs: Sequence[Any], automation: Automation
) -> dg.SensorDefinition:
    """Build the sensor that watches which days of every workload have landed."""

    @dg.sensor(
        name="whole_days_sensor",
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description="Profiles days that are over, and again those for which late events have come.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        requests = []
        for workload in workloads:
            days = days_to_profile(platform, workload)
            if not days or in_flight(context.instance, observe_job(workload.id)):
                continue
            context.log.info("%s: %s days to profile", workload.id, len(days))
            days_and_rows = (f"{day}={rows}" for day, rows in sorted(days.items()))
            run_key = hourly_key(workload.id, *days_and_rows, now=platform.clock.now())
            requests.append(dg.RunRequest(run_key=run_key, job_name=observe_job(workload.id)))
        if not requests:
            return dg.SensorResult(skip_reason="Every whole day is profiled as it landed.")
        return dg.SensorResult(run_requests=requests)

    return sensor
