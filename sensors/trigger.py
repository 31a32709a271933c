"""The trigger: evaluate it, and ask again for every cycle that the state holds open."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from flywheel.errors import FlywheelError
from flywheel.orchestration.automation import Automation
from flywheel.orchestration.decision_event import decision_event
from flywheel.orchestration.keys import asset_key, cycle_job, cycle_partitions, gate_job
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.cycle_steps import is_run_by_hand
from flywheel.usecases.observe import decide, evaluation_is_due
from flywheel.usecases.second_look import second_look
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

if TYPE_CHECKING:
    from flywheel.state import Cycle, Decision

__all__ = ["open_cycle_requests", "trigger_sensor"]

_log = logging.getLogger(__name__)
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
            told = " ".join(f"{event.asset_key.path[0]}: {event.description}" for event in events)
            return dg.SensorResult(
                skip_reason=told or _QUIET,
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
        description=f"Not evaluated: {error.message}",
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
    known = {workload.id for workload in workloads}
    for cycle in platform.state.cycles.list_open():
        if cycle.workload_id not in known:
            continue
        partitions.append(cycle_partitions(cycle.workload_id).build_add_request([cycle.name]))
        asked = _run_of(platform, cycle)
        if asked is None:
            continue
        if is_run_by_hand(platform.state, cycle.workload_id):
            continue  # asked for once that process has ended and the cycle is still open
        job, purpose = asked
        requests.append(
            dg.RunRequest(
                job_name=job,
                partition_key=cycle.name,
                run_key=f"{cycle.workload_id}:{cycle.name}:{cycle.attempt}{purpose}",
            )
        )
    return requests, partitions


def _run_of(platform: Platform, cycle: "Cycle") -> tuple[str, str] | None:
    # The job that an open cycle needs now, and what its run key says besides the attempt.
    if cycle.status in {"open", "training"}:
        return cycle_job(cycle.workload_id), ""
    if cycle.status != "awaiting_judgments":
        return None
    try:
        look = second_look(platform, cycle.workload_id, cycle.name)
    except FlywheelError:
        # Its workload is evaluated in the same tick, which shows what is wrong; others go on.
        _log.exception("cycle %s of %s", cycle.name, cycle.workload_id)
        return None
    return (gate_job(cycle.workload_id), ":second-look") if look and look.is_due else None
