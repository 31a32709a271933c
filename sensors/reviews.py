"""Finished judgments start the job that collects them."""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.orchestration.automation import Automation
from flywheel.orchestration.keys import review_job
from flywheel.orchestration.resources import PlatformParam
from flywheel.workload import Workload

__all__ = ["finished_reviews_sensor"]


def finished_reviews_sensor(
    workloads: Sequence[Workload], jobs: Sequence[Any], automation: Automation
) -> dg.SensorDefinition:
    """Build the sensor that watches the review queue of every workload."""

    @dg.sensor(
        name="finished_reviews_sensor",
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description="Collects judgments when their number has changed since the last look.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        before: dict[str, int] = json.loads(context.cursor or "{}")
        now = {w.id: platform.queue.status(w).judgments_given for w in workloads}
        changed = [key for key, given in now.items() if given != before.get(key, 0)]
        if not changed:
            return dg.SensorResult(skip_reason="No new judgments.", cursor=json.dumps(now))
        requests = [
            dg.RunRequest(run_key=f"{key}:{now[key]}", job_name=review_job(key)) for key in changed
        ]
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(now))

    return sensor
