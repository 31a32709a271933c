"""What waits for a person: shown as an asset when it changes, and sent out as alerts once each."""

import hashlib
import json
from collections.abc import Iterator, Sequence

import dagster as dg

from flywheel.errors import FlywheelError
from flywheel.io.alerting import Alert
from flywheel.orchestration.automation import Automation
from flywheel.orchestration.resources import PlatformParam
from flywheel.orchestration.waiting_page import waiting_event
from flywheel.orchestration.webserver import dagster_page
from flywheel.usecases.waiting import WaitingItem, waiting_for_people
from flywheel.wiring import Platform

__all__ = ["failed_runs_sensor", "waiting_sensor"]

_SECONDS = 60


def waiting_sensor(automation: Automation) -> dg.SensorDefinition:
    """Build the sensor that keeps the asset ``platform/waiting_for_a_person`` up to date.

    Its cursor holds what the page shows and which items were sent. An alert that could not be sent
    is named on the page, and sent at the next tick.
    """

    @dg.sensor(
        name="waiting_sensor",
        minimum_interval_seconds=max(_SECONDS, automation.sensor_seconds),
        default_status=automation.sensor_status,
        description=(
            "Shows what waits for a person (approvals, failed gates, reviews, disputes, new "
            "categories, dead letters) and sends each once to FLYWHEEL_ALERT_URL and "
            "FLYWHEEL_ALERT_EMAILS, where they are set."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        items = waiting_for_people(platform)
        before = json.loads(context.cursor or "{}")
        for item in items:
            if item.key not in before.get("keys", []):
                context.log.info("waits for a person: %s, %s", item.workload_id, item.text)
        sent, problems = _send(platform, items, before.get("sent", []))
        digest, keys = _digest(items, problems), [item.key for item in items]
        cursor = json.dumps({"shown": digest, "keys": keys, "sent": sent})
        if before.get("shown") == digest:
            return dg.SensorResult(skip_reason=f"{len(items)} as before.", cursor=cursor)
        event = waiting_event(platform, items, problems)
        return dg.SensorResult(skip_reason=event.description, cursor=cursor, asset_events=[event])

    return sensor


def failed_runs_sensor(automation: Automation) -> dg.SensorDefinition:
    """Build the sensor that sends an alert for every failed run of the code location."""

    @dg.run_failure_sensor(
        name="failed_runs_sensor",
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        description="Sends every failed run to FLYWHEEL_ALERT_URL and FLYWHEEL_ALERT_EMAILS.",
    )
    def sensor(context: dg.RunFailureSensorContext, platform: PlatformParam) -> None:
        run = context.dagster_run
        partition = run.tags.get("dagster/partition")
        text = f"{run.job_name}{f' of {partition}' if partition else ''} failed: "
        text += "; ".join(_reasons(context)) or context.failure_event.message or "no reason given"
        alert = Alert(
            kind="failed run",
            workload_id=run.job_name.rsplit("_", 2)[0],
            text=text,
            next_step="open the run: its failed step says what to do",
            url=dagster_page(platform.settings, f"runs/{run.run_id}"),
        )
        context.log.info("%s", alert.text)
        platform.alerts.send(alert)

    return sensor


def _send(
    platform: Platform, items: Sequence[WaitingItem], before: Sequence[str]
) -> tuple[list[str], list[str]]:
    # Without a hook nothing counts as sent: once one is configured, it gets what waits by then.
    sent = [item.key for item in items if item.key in before]
    problems: list[str] = []
    for item in items if platform.alerts.sends else ():
        if item.key in sent:
            continue
        try:
            platform.alerts.send(_alert(platform, item))
        except FlywheelError as error:
            problems.append(error.message)  # on the page; the next tick sends it again
            continue
        sent.append(item.key)
    return sent, sorted(set(problems))


def _reasons(context: dg.RunFailureSensorContext) -> Iterator[str]:
    for event in context.get_step_failure_events():
        failure = event.step_failure_data.user_failure_data
        description = failure.description if failure is not None else None
        yield f"{event.step_key}: {description or event.message}"


def _alert(platform: Platform, item: WaitingItem) -> Alert:
    return Alert(
        kind=item.kind,
        workload_id=item.workload_id,
        text=item.text,
        next_step=item.command,
        url=dagster_page(platform.settings, "assets/platform/waiting_for_a_person"),
    )


def _digest(items: Sequence[WaitingItem], problems: Sequence[str]) -> str:
    facts = [[item.key, item.count, item.text] for item in items]
    return hashlib.sha256(json.dumps([facts, list(problems)]).encode()).hexdigest()[:16]
