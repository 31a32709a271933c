"""When a workload's traffic began, as a moment that no single wrong clock can move.

The first review window and the trigger's calendar rule start from `traffic_start`; `newest_answer`
distinguishes running traffic from an old log.
"""

from datetime import datetime

from flywheel.lake.store import Lake
from flywheel.lake.views import ANSWERED

__all__ = ["newest_answer", "traffic_start"]

# An answer cannot have been given after it landed, so that a clock that is ahead is bounded by the
# landing. One that is behind (a device at 2000-01-01) has no such bound: the few earliest are passed
# over, and where there are hardly more than those, the first landing stands for the start.
_COUNT = """
SELECT count(*) AS answers, min(coalesce(landed_at, "timestamp")) AS landed
FROM inferences WHERE workload_id = $workload AND ANSWERED
""".replace("ANSWERED", ANSWERED)
_EARLIEST = """
SELECT least("timestamp", landed_at) AS moment FROM inferences
WHERE workload_id = $workload AND ANSWERED ORDER BY moment LIMIT 1 OFFSET $ignored
""".replace("ANSWERED", ANSWERED)
_NEWEST = """
SELECT max(least("timestamp", landed_at)) AS moment FROM inferences
WHERE workload_id = $workload AND ANSWERED
""".replace("ANSWERED", ANSWERED)


def newest_answer(lake: Lake, workload_id: str) -> datetime | None:
    """Return the latest event time of a workload; None before its first answer."""
    newest: datetime | None = lake.rows(_NEWEST, {"workload": workload_id})[0]["moment"]
    return newest


def traffic_start(lake: Lake, workload_id: str) -> datetime | None:
    """Return the earliest credible event time of a workload; None before its first answer.

    The two earliest answers and a hundredth of all are not believed: they may come from a wrong
    clock, and the same event may have been sent twice.
    """
    parameters = {"workload": workload_id}
    counted = lake.rows(_COUNT, parameters)[0]
    ignored = 2 + counted["answers"] // 100
    if counted["answers"] <= ignored:
        landed: datetime | None = counted["landed"]
        return landed
    moment: datetime = lake.rows(_EARLIEST, parameters | {"ignored": ignored})[0]["moment"]
    return moment
