"""`read_data_facts`: what a cycle's snapshot holds, where it came from, and what changed since."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flywheel.artifacts.snapshot import open_snapshot

if TYPE_CHECKING:
    from flywheel.artifacts.references import SnapshotRef
    from flywheel.wiring import Platform
    from flywheel.workload.model import Workload

__all__ = ["ChangedLabel", "DataFacts", "read_data_facts"]

_SOURCES = """
SELECT coalesce(c.source, 'unknown') AS name, count(DISTINCT r.inference_id) AS n
FROM dataset_rows r LEFT JOIN latest_corrections c
  ON c.workload_id = r.workload_id AND c.correction_id = r.correction_id
WHERE r.workload_id = $workload AND r.snapshot = $snapshot AND r.split = 'train'
GROUP BY name ORDER BY n DESC, name
"""
_LABELS = """
SELECT label_id AS name, count(DISTINCT inference_id) AS n FROM dataset_rows
WHERE workload_id = $workload AND snapshot = $snapshot AND split = 'train'
  AND label_id IS NOT NULL
GROUP BY name ORDER BY n DESC, name
"""
# A correction that was accepted, disputed or withdrawn in another version than the snapshot saw.
_CHANGED = """
SELECT DISTINCT r.split, r.inference_id, r.label_id AS label_then, c.label_id AS label_now,
       c.status, c.accepted_at
FROM dataset_rows r JOIN latest_corrections c
  ON c.workload_id = r.workload_id AND c.correction_id = r.correction_id
WHERE r.workload_id = $workload AND r.snapshot = $snapshot AND r.reason IS NULL
  AND (c.status <> 'accepted' OR c.label_id IS DISTINCT FROM r.label_id)
ORDER BY c.accepted_at DESC, r.inference_id
"""


@dataclass(frozen=True)
class ChangedLabel:
    """A row of the snapshot whose label people have changed or withdrawn since."""

    split: str
    inference_id: str
    label_then: str | None
    label_now: str | None
    status: str
    changed_at: str


@dataclass(frozen=True)
class DataFacts:
    """A snapshot: rows by split, training rows by source and label, exclusions with reasons."""

    hash: str
    taxonomy_version: int
    counts: dict[str, int]
    exclusions: dict[str, int]
    sources: dict[str, int]
    labels: dict[str, int]
    changed: tuple[ChangedLabel, ...]
    erased: int


def read_data_facts(
    platform: "Platform", dataset: "SnapshotRef", workload: "Workload"
) -> DataFacts:
    """Read a snapshot's manifest and what the lake holds about its rows.

    Raises:
        NotFoundError: the snapshot's folder is gone.
        IntegrityError: its manifest is damaged.
    """
    snapshot = open_snapshot(dataset.folder)
    values = {"workload": workload.id, "snapshot": snapshot.hash}
    names = workload.label_names

    def label(value: str | None) -> str | None:
        return None if value is None else names.get(value, value)

    rows = platform.lake.rows
    return DataFacts(
        hash=snapshot.hash,
        taxonomy_version=snapshot.taxonomy_version,
        counts=dict(snapshot.counts),
        exclusions=dict(snapshot.exclusions),
        sources={row["name"]: row["n"] for row in rows(_SOURCES, values)},
        labels={str(label(row["name"])): row["n"] for row in rows(_LABELS, values)},
        changed=tuple(
            ChangedLabel(
                split=row["split"],
                inference_id=row["inference_id"],
                label_then=label(row["label_then"]),
                label_now=label(row["label_now"]),
                status=row["status"],
                changed_at=row["accepted_at"].isoformat(),
            )
            for row in rows(_CHANGED, values)
        ),
        erased=snapshot.erased,
    )
