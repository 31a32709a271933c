"""The newest row of the audit is noted outside the state's database as the audit grows."""

from collections.abc import Sequence

import dagster as dg

from flywheel.orchestration.automation import Automation
from flywheel.orchestration.resources import PlatformParam
from flywheel.usecases.audit_trail import newest_row, note_head
from flywheel.workload.model import Workload

__all__ = ["audit_head_sensor"]

# The whole chain is followed each time.
_SECONDS = 300


def audit_head_sensor(workloads: Sequence[Workload], automation: Automation) -> dg.SensorDefinition:
    """Build the sensor that notes the audit's head in MLflow, and by the owner's command.

    Its cursor is the number of the newest row that was looked at. A broken chain fails the tick: it
    is never noted.
    """

    @dg.sensor(
        name="audit_head_sensor",
        minimum_interval_seconds=max(_SECONDS, automation.sensor_seconds),
        default_status=automation.sensor_status,
        description=(
            "Follows the audit's chain once it has grown, and notes its newest row in MLflow and "
            "by FLYWHEEL_AUDIT_COMMAND, where it is set. Compare with `flywheel audit verify`."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext, platform: PlatformParam) -> dg.SensorResult:
        newest = newest_row(platform)
        if newest <= int(context.cursor or 0):
            return dg.SensorResult(skip_reason=f"Row {newest} is the newest, as before.")
        places = note_head(platform, [workload.id for workload in workloads])
        where = ", ".join(places) or "nowhere: no release is registered, and no command is set"
        # What was published is a row as well.
        cursor = str(newest_row(platform)) if places else context.cursor
        return dg.SensorResult(skip_reason=f"Row {newest} noted in {where}.", cursor=cursor)

    return sensor
