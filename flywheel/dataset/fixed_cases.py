"""`fixed_cases`: cases that a promoted release got right where its champion was wrong.

They come from the evaluation sets of promoted cycles, which are never trained on, and are the
must-not-lose suite of later cycles.
"""

from collections.abc import Sequence

from flywheel.artifacts.snapshot import FixedCase
from flywheel.lake.store import Lake

__all__ = ["fixed_cases"]

# The last attempt of a cycle is the one that was promoted. A case may be in two suites of a cycle
# and counts once.
_FIXED = """
WITH last AS (
  SELECT cycle, max(attempt) AS attempt FROM evaluations
  WHERE workload_id = $workload AND arm = 'candidate' GROUP BY cycle
),
cases AS (
  SELECT e.* FROM evaluations e JOIN last USING (cycle, attempt)
  WHERE e.workload_id = $workload AND list_contains($cycles, e.cycle)
),
outcomes AS (
  SELECT new.cycle, new.inference_id, bool_and(new.correct) AS now, bool_and(old.correct) AS before
  FROM cases new JOIN cases old
    ON old.cycle = new.cycle AND old.suite = new.suite AND old.inference_id = new.inference_id
  WHERE new.arm = 'candidate' AND old.arm = 'champion'
  GROUP BY new.cycle, new.inference_id
)
SELECT inference_id, count(*) FILTER (now AND NOT before) AS times,
       count(*) FILTER (now AND before) AS held, count(*) FILTER (NOT now AND before) AS lost
FROM outcomes GROUP BY inference_id HAVING times > 0
"""


def fixed_cases(lake: Lake, workload_id: str, promoted: Sequence[str]) -> dict[str, FixedCase]:
    """Return the cases that the promoted cycles fixed, by inference id, with their record."""
    if not promoted:
        return {}
    rows = lake.rows(_FIXED, {"workload": workload_id, "cycles": list(promoted)})
    return {
        row["inference_id"]: FixedCase(times=row["times"], held=row["held"], lost=row["lost"])
        for row in rows
    }
