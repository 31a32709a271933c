"""`disagreeing_answers`: the champion's answers that the release in shadow answers otherwise.

They are asked first and blind: on these pairs alone people can tell the two releases apart.
"""

from typing import TYPE_CHECKING

from flywheel.usecases.shadow_pairs import refresh_pairs
from flywheel.usecases.stage_queries import arms_of, days_of

if TYPE_CHECKING:
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["disagreeing_answers"]

_DIFFERENT = """
SELECT DISTINCT inference_id FROM shadow_pairs
WHERE workload_id = $workload AND day >= $first AND day <= $last
  AND champion = $champion AND candidate = $candidate
  AND event_time >= $start AND event_time < $end AND NOT same_answer
"""


def disagreeing_answers(platform: "Platform", workload: "Workload") -> frozenset[str]:
    """Return the inference ids of the present shadow stage's pairs that differ; else none."""
    stage = platform.state.stages.current(workload.id)
    if stage is None or stage.kind != "shadow":
        return frozenset()
    lake, start, end = platform.lake, stage.began_at, platform.clock.now()
    if end <= start:
        return frozenset()
    if lake.can_write("shadow_pairs"):
        refresh_pairs(lake, workload.id, start, end)
    rows = lake.rows(
        _DIFFERENT, {**arms_of(stage), "start": start, "end": end, **days_of(start, end)}
    )
    return frozenset(row["inference_id"] for row in rows)
