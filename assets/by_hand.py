"""`cycle_by_hand_job`: a form in which a person opens, retries or stops a cycle."""

import hashlib
from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.orchestration.decision_event import decision_event
from flywheel.orchestration.keys import HAND_JOB, MAX_RUNTIME_TAG, cycle_partitions
from flywheel.orchestration.outcomes import dagster_outcomes
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.by_hand import (
    last_decision,
    named_cycle,
    open_by_hand,
    retry_by_hand,
    stop_by_hand,
)
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["cycle_by_hand_job"]

_ACTIONS = {
    "open": "open a cycle now, without waiting for calendar and cooldown",
    "retry": "start the next attempt of a cycle that failed or hangs",
    "stop": "stop a cycle without a verdict",
}
_SECONDS = 600


def cycle_by_hand_job(workloads: Sequence[Workload]) -> dg.JobDefinition:
    """Build the job; its form offers the workloads and the actions to choose from."""
    # Dagster caches an enum by its name for the life of a process: other workloads, another name.
    named = hashlib.sha256("\n".join(w.id for w in workloads).encode()).hexdigest()[:8]
    ids = [dg.EnumValue(w.id, w.id, description=w.description) for w in workloads]
    actions = [dg.EnumValue(name, name, description=text) for name, text in _ACTIONS.items()]
    form = {
        "workload": dg.Field(dg.Enum(f"Workload_{named}", ids), description="whose cycle"),
        "action": dg.Field(
            dg.Enum("CycleAction", actions), default_value="open", is_required=False
        ),
        "asked_by": dg.Field(
            str, description="your name: recorded as the one who asked, who cannot approve it"
        ),
        "reason": dg.Field(str, description="why, in a sentence"),
        "cycle": dg.Field(
            str,
            default_value="",
            is_required=False,
            description="to retry or stop; empty: the open one, else the newest",
        ),
    }

    @dg.op(config_schema=form, description="Does it, and says what happens next.")
    def cycle_by_hand(context: dg.OpExecutionContext, platform: PlatformParam) -> None:
        with dagster_outcomes():
            context.log.info(_act(context, platform, context.op_config))

    @dg.job(
        name=HAND_JOB,
        description=(
            "Opens, retries or stops a cycle, asked for by a person: fill in the form in the "
            "Launchpad. The trigger's sensor then starts the run of an open cycle. The same as "
            "`flywheel cycle open | retry | stop`."
        ),
        tags={MAX_RUNTIME_TAG: _SECONDS},
    )
    def job() -> None:
        cycle_by_hand()

    return job


def _act(context: dg.OpExecutionContext, platform: Platform, form: dict[str, Any]) -> str:
    workload_id, name = form["workload"], form["cycle"].strip() or None
    who = {"person": form["asked_by"], "reason": form["reason"]}
    if form["action"] == "stop":
        stopped = stop_by_hand(platform, named_cycle(platform, workload_id, name), **who)
        return f"Cycle {stopped.name} of {workload_id}: {stopped.status_reason}."
    if form["action"] == "open":
        name = open_by_hand(platform, workload_id, **who, channel="dagster").name
        context.log_event(decision_event(platform, last_decision(platform, workload_id)))
    else:
        name = retry_by_hand(platform, named_cycle(platform, workload_id, name), **who).cycle
    # The sensor asks for it as well; here it is on the page at once.
    context.instance.add_dynamic_partitions(str(cycle_partitions(workload_id).name), [name])
    return (
        f"Cycle {name} of {workload_id} is open, asked for by {form['asked_by']}, who cannot "
        "approve it. trigger_sensor starts its run; where that is switched off, materialize its "
        "partition of dataset, adapter and gate."
    )
