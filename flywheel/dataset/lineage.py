"""Lineage both ways: which snapshots saw an inference or a subject, and what a snapshot holds."""

from dataclasses import dataclass

from flywheel.lake.store import Lake

__all__ = ["Membership", "snapshots_with_inference", "snapshots_with_subject"]

_QUERY = """
SELECT DISTINCT snapshot, cycle, split, inference_id, reason FROM dataset_rows
WHERE workload_id = $workload AND {column} = $value ORDER BY ALL
"""


@dataclass(frozen=True)
class Membership:
    """One place where a row is: a snapshot, its cycle and the split, with the reason if excluded."""

    snapshot: str
    cycle: str
    split: str
    inference_id: str
    reason: str | None


def snapshots_with_inference(lake: Lake, workload_id: str, inference_id: str) -> list[Membership]:
    """Tell which snapshots hold an inference, or left it out and why."""
    return _memberships(lake, workload_id, "inference_id", inference_id)


def snapshots_with_subject(lake: Lake, workload_id: str, subject_id: str) -> list[Membership]:
    """Tell which snapshots saw a person's texts; an erasure request asks this."""
    return _memberships(lake, workload_id, "subject_id", subject_id)


def _memberships(lake: Lake, workload_id: str, column: str, value: str) -> list[Membership]:
    rows = lake.rows(_QUERY.format(column=column), {"workload": workload_id, "value": value})
    return [Membership(**row) for row in rows]
