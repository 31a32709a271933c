"""The must-not-lose suite: cases that a promoted release got right where its champion was wrong.

They come from the evaluation sets of promoted cycles, which are never trained on.
"""

from collections.abc import Sequence

from flywheel.lake.store import Lake

__all__ = ["fixed_cases"]

# The last attempt of a cycle is the one that was promoted.
_FIXED = """
WITH last AS (
  SELECT cycle, max(attempt) AS attempt FROM evaluations
  WHERE workload_id = $workload AND arm = 'candidate' GROUP BY cycle
),
cases AS (
  SELECT e.* FROM evaluations e JOIN last USING (cycle, attempt)
  WHERE e.workload_id = $workload AND list_contains($cycles, e.cycle)
)
SELECT DISTINCT new.inference_id
FROM cases new JOIN cases old
  ON old.cycle = new.cycle AND old.suite = new.suite AND old.inference_id = new.inference_id
WHERE new.arm = 'candidate' AND new.correct AND old.arm = 'champion' AND NOT old.correct
"""


def fixed_cases(lake: Lake, workload_id: str, promoted: Sequence[str]) -> frozenset[str]:
    """Return the inference ids of the cases that the promoted cycles fixed."""
    if not promoted:
        return frozenset()
    rows = lake.rows(_FIXED, {"workload": workload_id, "cycles": list(promoted)})
    return frozenset(row["inference_id"] for row in rows)
