"""Items that people disagreed about, whether the dispute was settled since or not.

A settled answer is good enough to be learnt; it is not a clear preference.
"""

from flywheel.dataset.preference import Disputes
from flywheel.lake.store import Lake
from flywheel.similarity.normal_form import input_hash

__all__ = ["read_disputes"]

# An adjudication is asked for where two people, or two accepted answers to one text, disagree; a
# dispute that the budget did not pay for shows in the correction alone, in any of its versions. A
# label check is asked for because a label looked unusual: only another answer makes it a dispute.
_DISPUTED = """
SELECT DISTINCT inference_id, input FROM review_items
WHERE workload_id = $workload AND slice = 'adjudication'
  AND (item_id NOT IN (SELECT item_id FROM label_checks WHERE workload_id = $workload)
    OR inference_id IN (
    SELECT inference_id FROM corrections
    WHERE workload_id = $workload AND output IS NOT NULL
    GROUP BY inference_id, correction_id HAVING count(DISTINCT output) > 1))
UNION
SELECT DISTINCT inference_id, input FROM corrections
WHERE workload_id = $workload AND status = 'disputed'
"""


def read_disputes(lake: Lake, workload_id: str, hash_key: str) -> Disputes:
    """Read every dispute there ever was in a workload."""
    rows = lake.rows(_DISPUTED, {"workload": workload_id})
    return Disputes(
        frozenset(row["inference_id"] for row in rows if row["inference_id"]),
        frozenset(input_hash(row["input"], hash_key) for row in rows if row["input"]),
    )
