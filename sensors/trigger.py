"""The trigger: evaluate it, and ask again for every cycle that the state holds open."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from flywheel.errors import FlywheelError
from flywheel.orchestration.automation import Automation
from flywheel.orchestration.decision_event import decision_event
from flywheel.orchestration.keys import asset_key, cycle_job, cycle_partitions, gate_job
from flywheel.orchestration.presentation import plain_text
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.cycle_runs import due_runs
from flywheel.usecases.observe import decide, evaluation_is_due
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

if TYPE_CHECKING:
    from flywheel.state import Decision

__all__ = ["open_cycle_requests", "trigger_sensor"]

_QUIET = (
    "No cycle is open; every trigger was evaluated within the hour, and nothing has been measured "
    "since."
)


def trigger_sensor(
    workloads: Sequence[Workload], jobs: Sequence[Any], automation: Automation
) -> dg.SensorDefinition:
    """Build the sensor that evaluates every workload's trigger and opens its cycles."""

    @dg.sensor(
        name="trigger_sensor",
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description="Writes one decision per evaluation, also 'no', and starts open cycles.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        events: list[dg.AssetMaterialization | dg.AssetObservation] = []
        failed: list[FlywheelError] = []
        for workload in workloads:
            try:
                decision = _evaluate(platform, workload.id)
            except FlywheelError as error:
                # One workload's broken file must not keep the others from their cycles.
                context.log.exception("%s could not be evaluated", workload.id)
                failed.append(error)
                events.append(_failure_event(workload, error))
                continue
            if decision is not None:
                context.log.info("%s: %s", workload.id, decision.reason)
                events.append(decision_event(platform, decision))
        if failed and len(failed) == len(workloads):
            raise failed[0]  # the tick shows it, and the next one tries again
        requests, partitions = open_cycle_requests(platform, workloads)
        if not requests:
            message = " ".join(
                f"{event.asset_key.path[0]}: {event.description}" for event in events
            )
            return dg.SensorResult(
                skip_reason=message or _QUIET,
                dynamic_partitions_requests=partitions,
                asset_events=events,
            )
        return dg.SensorResult(
            run_requests=requests, dynamic_partitions_requests=partitions, asset_events=events
        )

    return sensor


def _evaluate(platform: Platform, workload_id: str) -> "Decision | None":
    # The file may have changed since the code location was loaded.
    workload = platform.workload(workload_id)
    return decide(platform, workload) if evaluation_is_due(platform, workload) else None


def _failure_event(workload: Workload, error: FlywheelError) -> dg.AssetObservation:
    return dg.AssetObservation(
        asset_key=asset_key(workload, "trigger"),
        description=plain_text(f"Not evaluated: {error.message}"),
        metadata={
            "error": type(error).__name__,
            "next step": error.next_step or "see the message",
        },
    )


def open_cycle_requests(
    platform: Platform, workloads: Sequence[Workload]
) -> tuple[list[dg.RunRequest], list[dg.AddDynamicPartitionsRequest]]:
    """Ask for the partition of every open cycle and for the run of those that have work left.

    Asking twice does nothing twice. The SQL state is the truth: a tick that died after adding a
    partition is repaired by the next, and a cycle that a person ran without Dagster gets the
    partition that its promotion needs.
    A cycle whose gate waited for judgments gets a run of its gate alone, once they are in.
    """
    requests, partitions = [], []
    for due in due_runs(platform, {workload.id for workload in workloads}):
        partitions.append(cycle_partitions(due.workload_id).build_add_request([due.cycle]))
        if due.purpose is None:
            continue
        is_look = due.purpose == "second look"
        run_key = f"{due.workload_id}:{due.cycle}:{due.attempt}"
        requests.append(
            dg.RunRequest(
                job_name=gate_job(due.workload_id) if is_look else cycle_job(due.workload_id),
                partition_key=due.cycle,
                run_key=f"{run_key}:second-look" if is_look else run_key,
            )
        )
    return requests, partitions
