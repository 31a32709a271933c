"""`read_annotations`: what people said, as the lake keeps it."""

import json
from collections.abc import Collection
from functools import cache

from flywheel.lake.store import Lake
from flywheel.ports.review_queue import Annotation, AnnotationKind

__all__ = ["read_annotations"]


def read_annotations(
    lake: Lake,
    workload_id: str,
    *,
    kind: AnnotationKind | None = None,
    items: Collection[str] | None = None,
) -> list[Annotation]:
    """Read the latest version of every annotation, or of those of one kind or on some items."""
    rows = lake.rows(
        "SELECT * FROM latest_annotations WHERE workload_id = $workload "
        "AND ($kind IS NULL OR kind = $kind) "
        "AND ($items IS NULL OR item_id IN (SELECT unnest($items::VARCHAR[]))) "
        "ORDER BY annotation_id",
        {"workload": workload_id, "kind": kind, "items": None if items is None else list(items)},
    )
    annotations = []
    answer = cache(json.loads)  # most are given again and again
    for row in rows:
        del row["seen_at"]
        row["output"] = None if row["output"] is None else answer(row["output"])
        row["raw"] = json.loads(row["raw"])
        annotations.append(Annotation(**row))
    return annotations
