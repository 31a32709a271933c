"""Schedules: the cadence of each workload, the daily look at its traffic, nightly upkeep."""

import dagster as dg

from flywheel.orchestration.automation import Automation
from flywheel.orchestration.keys import MAINTENANCE_JOB, observe_job, sample_job
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.observe import decide
from flywheel.workload.model import Workload
from flywheel.workload.periods import Cadence

__all__ = ["calendar_schedule", "maintenance_schedule", "observe_schedule", "sample_schedule"]

_CRON: dict[Cadence, str] = {
    "monthly": "0 6 1 * *",
    "quarterly": "0 6 1 */3 *",
    "yearly": "0 6 1 1 *",
}


def calendar_schedule(workload: Workload, automation: Automation) -> dg.ScheduleDefinition:
    """Build the schedule that evaluates the trigger when a new period begins.

    It writes the decision and the cycle's row and launches nothing: the trigger sensor asks for
    the run with its partition, which a schedule over dynamic partitions could not.
    """

    @dg.schedule(
        name=f"{workload.id}_{workload.cadence}_schedule",
        cron_schedule=_CRON[workload.cadence],
        execution_timezone=workload.timezone,
        job_name=f"{workload.id}_cycle_job",
        default_status=automation.schedule_status,
        description=f"Opens the {workload.cadence} cycle of {workload.id}.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, platform: PlatformParam) -> dg.SkipReason:
        decision = decide(platform, platform.workload(workload.id))
        context.log.info("%s", decision.reason)
        return dg.SkipReason(f"{decision.reason} (the trigger sensor starts open cycles)")

    return schedule


def sample_schedule(workload: Workload, automation: Automation) -> dg.ScheduleDefinition:
    """Build the daily schedule that chooses what people review."""
    return dg.ScheduleDefinition(
        name=f"{workload.id}_sample_schedule",
        job_name=sample_job(workload.id),
        cron_schedule=_daily(workload.daily.sample),
        execution_timezone=workload.timezone,
        default_status=automation.schedule_status,
        description="Chooses from yesterday's answers what people review, within the budget.",
    )


def observe_schedule(workload: Workload, automation: Automation) -> dg.ScheduleDefinition:
    """Build the daily schedule that profiles and measures drift."""
    return dg.ScheduleDefinition(
        name=f"{workload.id}_observe_schedule",
        job_name=observe_job(workload.id),
        cron_schedule=_daily(workload.daily.observe),
        execution_timezone=workload.timezone,
        default_status=automation.schedule_status,
        description="Profiles yesterday and measures drift, with what people judged so far.",
    )


def maintenance_schedule(automation: Automation) -> dg.ScheduleDefinition:
    """Build the hourly schedule of the lake's upkeep: a busy day leaves a thousand files an hour."""
    return dg.ScheduleDefinition(
        name="maintenance_schedule",
        job_name=MAINTENANCE_JOB,
        cron_schedule="20 * * * *",
        default_status=automation.schedule_status,
        description="Compacts small files and removes those that no reader can need.",
    )


def _daily(at: str) -> str:
    hour, minute = at.split(":")
    return f"{int(minute)} {int(hour)} * * *"
