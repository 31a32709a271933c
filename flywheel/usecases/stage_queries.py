"""What queries on a shadow or canary share: names of both arms, its days, its events and judgments."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.state.stages import Stage

__all__ = ["FIRST_LANDED", "LATEST", "arms_of", "days_of"]

# Of an event that landed twice, the first counts.
FIRST_LANDED = """QUALIFY row_number() OVER (
    PARTITION BY inference_id ORDER BY landed_at, topic_id, "partition", "offset") = 1"""
# The present version of each correction of an answer since $start. The view `latest_corrections`
# would read those of all time.
LATEST = """latest AS (
  SELECT * FROM corrections WHERE workload_id = $workload AND event_time >= $start
  QUALIFY row_number() OVER (
    PARTITION BY correction_id ORDER BY version DESC, accepted_at DESC) = 1
)"""


def arms_of(stage: "Stage") -> dict[str, str]:
    """Return the workload and the releases of both arms, as the queries name them."""
    return {
        "workload": stage.workload_id,
        "champion": stage.champion,
        "candidate": stage.release,
    }


def days_of(start: datetime, end: datetime) -> dict[str, date]:
    """Return the first and the last day of a period, as the queries name them."""
    return {"first": start.date(), "last": (end - timedelta(microseconds=1)).date()}
