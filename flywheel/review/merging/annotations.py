"""`read_annotations`: what people said, as the lake keeps it."""

import json
from functools import cache

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
    answer = cache(json.loads)  # most are given again and again
    for row in rows:
        del row["seen_at"]
        row["output"] = None if row["output"] is None else answer(row["output"])
        row["raw"] = json.loads(row["raw"])
        annotations.append(Annotation(**row))
    return annotations
