"""`read_annotations`: what people said, as the lake keeps it."""

import json
from collections.abc import Collection
from functools import cache

from flywheel.lake.store import Lake
from flywheel.lake.views import LATEST_ANNOTATION
from flywheel.ports.review_queue import Annotation, AnnotationKind

__all__ = ["read_annotations"]

_ALL = """
SELECT * FROM latest_annotations
WHERE workload_id = $workload AND ($kind IS NULL OR kind = $kind) ORDER BY annotation_id
"""
# The same of some items, whose rows alone are read as a whole.
_ON_ITEMS = f"""
SELECT * FROM (
  SELECT * FROM annotations WHERE workload_id = $workload AND annotation_id IN (
    SELECT annotation_id FROM annotations
    WHERE workload_id = $workload AND item_id IN (SELECT unnest($items::VARCHAR[])))
  {LATEST_ANNOTATION}
) WHERE item_id IN (SELECT unnest($items::VARCHAR[])) AND ($kind IS NULL OR kind = $kind)
ORDER BY annotation_id
"""  # noqa: S608 - constants of the project


def read_annotations(
    lake: Lake,
    workload_id: str,
    *,
    kind: AnnotationKind | None = None,
    items: Collection[str] | None = None,
) -> list[Annotation]:
    """Read the latest version of every annotation, or of those of one kind or on some items."""
    parameters: dict[str, object] = {"workload": workload_id, "kind": kind}
    if items is None:
        rows = lake.rows(_ALL, parameters)
    else:
        rows = lake.rows(_ON_ITEMS, parameters | {"items": list(items)}) if items else []
    annotations = []
    answer = cache(json.loads)  # most are given again and again
    for row in rows:
        del row["seen_at"]
        row["output"] = None if row["output"] is None else answer(row["output"])
        row["raw"] = json.loads(row["raw"])
        annotations.append(Annotation(**row))
    return annotations
