"""`read_annotations`: what people said, as the lake keeps it."""

import json

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import Annotation, AnnotationKind

__all__ = ["read_annotations"]


def read_annotations(
    lake: Lake, workload_id: str, *, kind: AnnotationKind | None = None
) -> list[Annotation]:
    """Read the latest version of every annotation, or of those of one kind."""
    rows = lake.rows(
        "SELECT * FROM latest_annotations WHERE workload_id = $workload "
        "AND ($kind IS NULL OR kind = $kind) ORDER BY annotation_id",
        {"workload": workload_id, "kind": kind},
    )
    annotations = []
    for row in rows:
        del row["seen_at"]
        output = None if row["output"] is None else json.loads(row["output"])
        annotations.append(Annotation(**row | {"output": output, "raw": json.loads(row["raw"])}))
    return annotations
