"""When a workload's traffic began, as a moment that no single wrong clock can move.

The first review window and the trigger's calendar rule start from `traffic_start`; `newest_answer`
distinguishes running traffic from an old log.
"""

from datetime import datetime

from flywheel.lake.store import Lake
from flywheel.lake.views import ANSWERED, EVENT_FIGURES

__all__ = ["newest_answer", "traffic_start"]

# An answer cannot have been given after it landed, so that a clock that is ahead is bounded by the
# landing. One that is behind (a device at 2000-01-01) has no such bound: the few earliest are passed
# over, and where there are hardly more than those, the first landing stands for the start.
_MOMENTS = f"""
SELECT moment_day, sum(answered)::BIGINT AS answers, min(answers_landed_from) AS landed,
       list(DISTINCT "day") AS days
FROM {EVENT_FIGURES} WHERE workload_id = $workload AND answered > 0
GROUP BY moment_day ORDER BY moment_day NULLS LAST
"""  # noqa: S608 - a constant name
_EARLIEST = f"""
SELECT least("timestamp", landed_at) AS moment FROM inferences
WHERE workload_id = $workload AND {ANSWERED}
  AND CAST(least("timestamp", landed_at) AT TIME ZONE 'UTC' AS DATE)
      IS NOT DISTINCT FROM $moment_day::DATE
ORDER BY moment LIMIT 1 OFFSET $ignored
"""  # noqa: S608 - (as above)
_NEWEST = f"""
SELECT max(last_moment) AS moment FROM {EVENT_FIGURES} WHERE workload_id = $workload
"""  # noqa: S608 - (as above)


def newest_answer(lake: Lake, workload_id: str) -> datetime | None:
    """Return the latest event time of a workload; None before its first answer."""
    newest: datetime | None = lake.rows(_NEWEST, {"workload": workload_id})[0]["moment"]
    return newest


def traffic_start(lake: Lake, workload_id: str) -> datetime | None:
    """Return the earliest credible event time of a workload; None before its first answer.

    The two earliest answers and a hundredth of all are not believed: they may come from a wrong
    clock, and the same event may have been sent twice.
    """
    days = lake.rows(_MOMENTS, {"workload": workload_id})
    answers = sum(row["answers"] for row in days)
    ignored = 2 + answers // 100
    if answers <= ignored:
        return min((row["landed"] for row in days if row["landed"]), default=None)
    for row in days:
        if ignored < row["answers"]:
            break
        ignored -= row["answers"]
    of_day = {"workload": workload_id, "moment_day": row["moment_day"], "ignored": ignored}
    moment: datetime = lake.rows(_EARLIEST, of_day, event_days=row["days"])[0]["moment"]
    return moment
