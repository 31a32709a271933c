"""Finished judgments start the job that collects them.

A webhook's hint is looked at first, so that a judgment arrives quickly. Nothing depends on it: the
queue is asked at every tick whether a judgment was given, edited or deleted, and the job looks by
itself once an hour as well.
"""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from flywheel.errors import TerminalError, UnavailableError
from flywheel.orchestration.automation import Automation, hourly_key
from flywheel.orchestration.keys import review_job
from flywheel.orchestration.resources import PlatformParam
from flywheel.ports.review_queue import UNTOUCHED
from flywheel.usecases.review_changes import ReviewChange, UnreadableQueue, review_changes
from flywheel.wiring import Platform
from flywheel.workload.model import Workload

__all__ = ["finished_reviews_sensor"]

# Unanswered hints ask again this often: Dagster remembers the key of a run that failed as well.
_ASK_AGAIN_MINUTES = 5


def finished_reviews_sensor(
    workloads: Sequence[Workload], jobs: Sequence[Any], automation: Automation
) -> dg.SensorDefinition:
    """Build the sensor that watches the review queue of every workload."""

    @dg.sensor(
        name="finished_reviews_sensor",
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description="Collects judgments when one was given, edited or deleted, when "
        "Label Studio said that something changed, and once an hour without either.",
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        before: dict[str, str] = json.loads(context.cursor or "{}")
        now, keys = dict(before), {}
        failed: list[TerminalError] = []
        try:
            changes = list(review_changes(platform, workloads))
        except UnavailableError as error:
            # The rest is as it was: the next tick sees the difference.
            return dg.SensorResult(skip_reason=str(error), cursor=json.dumps(before))
        for change in changes:
            if isinstance(change, UnreadableQueue):
                # One workload's queue must not keep the judgments of the others from being taken.
                context.log.error(
                    "the queue of %s could not be asked", change.workload_id, exc_info=change.error
                )
                failed.append(change.error)
                continue
            now[change.workload_id] = change.queue.changed
            key = _run_key(platform, change, before.get(change.workload_id, UNTOUCHED))
            if key is not None:
                keys[change.workload_id] = key
        if failed and len(failed) == len(workloads):
            raise failed[0]  # the tick shows it, and the next one tries again
        if not keys:
            return dg.SensorResult(skip_reason="No new judgments.", cursor=json.dumps(now))
        requests = [dg.RunRequest(run_key=k, job_name=review_job(w)) for w, k in keys.items()]
        return dg.SensorResult(run_requests=requests, cursor=json.dumps(now))

    return sensor


def _run_key(platform: Platform, change: ReviewChange, before: str) -> str | None:
    now, workload_id, status = platform.clock.now(), change.workload_id, change.queue
    if change.hints is not None:
        again = str(now.minute // _ASK_AGAIN_MINUTES)
        newest = str(change.hints.newest)
        return hourly_key(workload_id, "hint", newest, again, status.changed, now=now)
    if status.changed != before:
        return f"{workload_id}:{status.changed}"
    if status.items and platform.settings.review_queue == "label_studio":
        return hourly_key(workload_id, "look", now=now)
    return None
