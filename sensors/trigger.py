"""The trigger: evaluate it, and ask again for every cycle that the state holds open."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.orchestration.keys import asset_key, cycle_job, cycle_partitions
from flywheel.orchestration.resources import PlatformParam
from flywheel.turn.observe import decide, evaluation_is_due
from flywheel.wiring import Platform
from flywheel.workload import Workload

__all__ = ["open_cycle_requests", "trigger_sensor"]


def trigger_sensor(workloads: Sequence[Workload], jobs: Sequence[Any]) -> dg.SensorDefinition:
    """Build the sensor that evaluates every workload's trigger and opens its cycles."""

    @dg.sensor(
        name="trigger_sensor",
        jobs=jobs,
        minimum_interval_seconds=60,
        description="Writes one decision per evaluation, also 'no', and starts open cycles.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        events = []
        for known in workloads:
            # The file may have changed since the code location was loaded.
            workload = platform.workload(known.id)
            if not evaluation_is_due(platform, workload):
                continue
            decision = decide(platform, workload)
            context.log.info("%s: %s", workload.id, decision.reason)
            events.append(
                dg.AssetMaterialization(
                    asset_key=asset_key(workload, "trigger"),
                    description=decision.reason,
                    metadata={
                        "opens a cycle": decision.opens,
                        "trigger": decision.trigger or "none",
                        "cycle": decision.cycle or "none",
                        "reason": decision.reason,
                        "numbers": dg.MetadataValue.json(decision.numbers),
                    },
                )
            )
        requests, partitions = open_cycle_requests(platform, workloads)
        return dg.SensorResult(
            run_requests=requests, dynamic_partitions_requests=partitions, asset_events=events
        )

    return sensor


def open_cycle_requests(
    platform: Platform, workloads: Sequence[Workload]
) -> tuple[list[dg.RunRequest], list[dg.AddDynamicPartitionsRequest]]:
    """Ask for the partition and the run of every open cycle; asking twice does nothing twice.

    The SQL state is the truth: a tick that died after adding a partition is repaired by the next.
    """
    requests, partitions = [], []
    known = {workload.id for workload in workloads}
    for cycle in platform.state.open_cycles():
        if cycle.workload_id not in known or cycle.status not in {"open", "training"}:
            continue
        partitions.append(cycle_partitions(cycle.workload_id).build_add_request([cycle.name]))
        requests.append(
            dg.RunRequest(
                job_name=cycle_job(cycle.workload_id),
                partition_key=cycle.name,
                run_key=f"{cycle.workload_id}:{cycle.name}:{cycle.attempt}",
            )
        )
    return requests, partitions
