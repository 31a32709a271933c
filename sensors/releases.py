"""A release in shadow or canary is looked at, and what follows the route table is kept in step."""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.errors import FlywheelError
from flywheel.orchestration.automation import Automation, hourly_key, in_flight
from flywheel.orchestration.keys import partitions_name, release_job
from flywheel.orchestration.release_event import watch_events
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.reconcile import reconcile_release
from flywheel.usecases.release_path import Watch, watch_release
from flywheel.workload.model import Workload

__all__ = ["reconcile_sensor", "staged_releases_sensor"]

# MLflow is asked at each look.
_RECONCILE_SECONDS = 300


def staged_releases_sensor(
    workloads: Sequence[Workload], jobs: Sequence[Any], automation: Automation
) -> dg.SensorDefinition:
    """Build the sensor that looks at every release in shadow or canary.

    It rolls back by itself what is worse or silent, and starts a run for what may go on: that loads
    the model. The asset `release` shows every change of a verdict, and its check `guards` a rollback.
    """

    @dg.sensor(
        name="staged_releases_sensor",
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description=(
            "Looks at releases in shadow and canary: rolls back what is worse than the champion or "
            "silent, and starts the next stage once days and minimum are reached."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        before = json.loads(context.cursor or "{}")
        verdicts: dict[str, str] = {}
        requests: list[dg.RunRequest] = []
        events: list[dg.AssetObservation | dg.AssetCheckEvaluation] = []
        for workload in workloads:
            watch = _watched(context, platform, workload)
            if watch is None:
                continue
            verdict = f"{watch.stage.id}:{watch.look.outcome}:{watch.step.action}"
            verdicts[workload.id] = verdict
            partitions = context.instance.get_dynamic_partitions(partitions_name(workload))
            if watch.cycle not in partitions:
                context.log.warning("%s has no partition yet", watch.cycle)
                continue
            if before.get(workload.id) != verdict:
                events += watch_events(workload, watch)
            if watch.is_due and not in_flight(context.instance, release_job(workload.id)):
                requests.append(_request(workload, watch, platform))
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else _skipped(verdicts),
            cursor=json.dumps(verdicts),
            asset_events=events,
        )

    return sensor


def reconcile_sensor(workloads: Sequence[Workload], automation: Automation) -> dg.SensorDefinition:
    """Build the sensor that keeps aliases, statuses and model server in step with the routes."""

    @dg.sensor(
        name="reconcile_sensor",
        minimum_interval_seconds=max(_RECONCILE_SECONDS, automation.sensor_seconds),
        default_status=automation.sensor_status,
        description=(
            "Brings statuses, MLflow's aliases and the model server to what the route table says, "
            "as `flywheel release reconcile` does."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        repaired = problems = 0
        for workload in workloads:
            try:
                done = reconcile_release(platform, workload.id)
            except FlywheelError as error:
                context.log.warning("%s: %s", workload.id, error)
                problems += 1
                continue
            for sentence in done.repaired:
                context.log.info("%s: repaired: %s", workload.id, sentence)
            for sentence in done.not_repaired:
                context.log.warning("%s: not repaired: %s", workload.id, sentence)
            repaired += len(done.repaired)
            problems += len(done.not_repaired)
        return dg.SensorResult(skip_reason=f"{repaired} repaired, {problems} not repaired.")

    return sensor


def _watched(
    context: dg.SensorEvaluationContext, platform: PlatformParam, workload: Workload
) -> Watch | None:
    # One that cannot be looked at must not hold up the others: the next tick looks again.
    try:
        watch = watch_release(platform, workload.id)
    except FlywheelError as error:
        context.log.warning("%s: %s", workload.id, error)
        return None
    if watch is not None:
        context.log.info("%s: %s: %s", workload.id, watch.step.action, watch.step.reason)
    return watch


def _request(workload: Workload, watch: Watch, platform: PlatformParam) -> dg.RunRequest:
    facts = (workload.id, str(watch.stage.id), watch.step.action)
    return dg.RunRequest(
        job_name=release_job(workload.id),
        partition_key=watch.cycle,
        run_key=hourly_key(*facts, now=platform.clock.now()),
    )


def _skipped(verdicts: dict[str, str]) -> str:
    if not verdicts:
        return "No release is in shadow or canary."
    return f"{len(verdicts)} releases are in shadow or canary; none is due."
