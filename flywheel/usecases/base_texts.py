"""`base_texts`: the unlabeled texts of a workload that a base model may be built from."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flywheel.lake.store import Lake

__all__ = ["base_texts"]

# Ten times what the tiny base's vocabulary and its 80 steps of pre-training can use.
_MOST = 30_000
_QUERY = """
SELECT input FROM (
    SELECT input, max(moment) AS newest FROM (
        SELECT input, "timestamp" AS moment FROM answered_inferences WHERE workload_id = $workload
        UNION ALL
        SELECT input, accepted_at AS moment FROM latest_corrections WHERE workload_id = $workload
    ) WHERE input IS NOT NULL AND trim(input) <> '' GROUP BY input
) ORDER BY newest DESC, input LIMIT $most
"""


def base_texts(lake: "Lake", workload_id: str, *, most: int = _MOST) -> list[str]:
    """Return the different texts of a workload in the lake, the newest ``most`` of them.

    These are the inputs of imported and captured calls and of labeled rows; no answer is read.
    """
    rows = lake.rows(_QUERY, {"workload": workload_id, "most": most})
    return [str(row["input"]) for row in rows]
