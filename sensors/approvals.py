"""A granted approval starts the promotion."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.orchestration.automation import Automation
from flywheel.orchestration.keys import partitions_name, release_job
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.cycle_runs import approved_cycles
from flywheel.workload.model import Workload

__all__ = ["granted_approvals_sensor"]


def granted_approvals_sensor(
    workloads: Sequence[Workload], jobs: Sequence[Any], automation: Automation
) -> dg.SensorDefinition:
    """Build the sensor that asks for the promotion of every approved cycle."""

    @dg.sensor(
        name="granted_approvals_sensor",
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description="Promotes what a person has approved; the release step checks everything again.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        requests = []
        for workload in workloads:
            partitions = context.instance.get_dynamic_partitions(partitions_name(workload))
            for approved in approved_cycles(platform, workload.id):
                # A cycle that Dagster does not know (yet) must not block the others.
                if approved.cycle not in partitions:
                    context.log.warning("%s has no partition yet", approved.cycle)
                    continue
                requests.append(
                    dg.RunRequest(
                        job_name=release_job(workload.id),
                        partition_key=approved.cycle,
                        run_key=f"{workload.id}:{approved.cycle}:{approved.approval_id}",
                    )
                )
        if not requests:
            return dg.SensorResult(skip_reason="No approval waits for its promotion.")
        return dg.SensorResult(run_requests=requests)

    return sensor
