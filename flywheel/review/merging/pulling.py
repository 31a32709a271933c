"""`pull_judgments`: bring every version of every annotation from the queue into the lake."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import pyarrow as pa

from flywheel.errors import ConcurrencyError
from flywheel.io.records import Row
from flywheel.lake.erasure import erased_inferences
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.ports.review_queue import Annotation, ReviewQueue, SetAside
from flywheel.workload.answers import canonical_json
from flywheel.workload.model import Workload

__all__ = ["OneWriter", "pull_judgments"]

# How `label_studio_format.annotator_of` names who has no address, and who is not named at all.
_NUMBERED, _NOBODY = "label_studio:", "unknown:"
_STORED = """
SELECT annotation_id, version, annotator FROM stored.annotations
WHERE workload_id = $workload AND annotation_id IN (SELECT unnest($ids::VARCHAR[]))
ORDER BY seen_at
"""


class OneWriter:
    """Append to a table from what was read of it: of two merges that read the same, one writes.

    The table's transaction is read when this is made, so before its rows are.
    """

    def __init__(self, lake: Lake, table: str, workload_id: str) -> None:
        self._lake, self._table = lake, table
        self._application = f"review-merge:{workload_id}"
        self._version = (lake.transaction(table, self._application) or 0) + 1

    def append(self, rows: list[Row] | pa.Table) -> None:
        """Commit rows.

        Raises:
            ConcurrencyError: another merge came first.
        """
        if isinstance(rows, list):
            rows = pa.Table.from_pylist(rows, schema=TABLES[self._table].schema)
        if not self._lake.append(self._table, rows, once=(self._application, self._version)):
            raise ConcurrencyError(
                f"Another merge wrote {self._table} first.", next_step="run the merge again"
            )


def pull_judgments(
    lake: Lake, queue: ReviewQueue, workload: Workload, now: datetime
) -> tuple[int, tuple[SetAside, ...]]:
    """Keep the annotations that changed in the queue; return how many versions were new.

    Also returns what cannot be taken. The first call of a day pulls everything.
    """
    # How far we are stands in the lake's own transactions: committed after the annotations, it is
    # never ahead of them.
    cursor = _Mark(lake, f"review-cursor:{queue.name}:{workload.id}")
    whole_day = _Mark(lake, f"review-whole:{queue.name}:{workload.id}")
    today = now.toordinal()
    everything = whole_day.at < today
    pull = queue.pull(workload, None if everything or not cursor.at else str(cursor.at))
    annotations = _keep_annotations(lake, workload, pull.annotations, now)
    if everything:
        whole_day.move(today)
    cursor.move(int(pull.cursor))
    return annotations, pull.set_aside


class _Mark:
    def __init__(self, lake: Lake, application: str) -> None:
        self._lake, self._application = lake, application
        self.at = lake.transaction("annotations", application) or 0

    def move(self, to: int) -> None:
        if to > self.at:
            nothing = pa.Table.from_pylist([], schema=TABLES["annotations"].schema)
            self._lake.append("annotations", nothing, once=(self._application, to))


def _keep_annotations(
    lake: Lake, workload: Workload, annotations: Sequence[Annotation], now: datetime
) -> int:
    writer = OneWriter(lake, "annotations", workload.id)
    stored = {
        (row["annotation_id"], row["version"]): row["annotator"]
        for row in lake.rows(
            _STORED, {"workload": workload.id, "ids": [one.annotation_id for one in annotations]}
        )
    }
    erased = erased_inferences(lake, workload.id)
    rows = []
    for annotation in annotations:
        if annotation.inference_id in erased:  # of a queue that was restored, or not reached yet
            continue
        key = (annotation.annotation_id, annotation.version)
        # Who was a number in one export and has an address in the next is one person.
        if key in stored and not _is_named_now(stored[key], annotation.annotator):
            continue
        stored[key] = annotation.annotator
        output = None if annotation.output is None else canonical_json(annotation.output)
        raw = json.dumps(annotation.raw, ensure_ascii=False, sort_keys=True)
        rows.append(asdict(annotation) | {"output": output, "raw": raw, "seen_at": now})
    if rows:
        writer.append(rows)
    return len(rows)


def _is_named_now(before: str, now: str) -> bool:
    return before.startswith(_NUMBERED) and not now.startswith((_NUMBERED, _NOBODY))
