"""A judgment that no answer desk would take, as an export from Label Studio brings it."""

import json
from pathlib import Path
from typing import Any

from flywheel.review.queues.label_studio_format import annotation_key, result_of, stamp
from flywheel.review.queues.local_queue import LocalReviewQueue
from flywheel.workload.model import Workload
from tests.fakes.review_world import END


def export_judgment(
    folder: Path,
    queue: LocalReviewQueue,
    workload: Workload,
    item_id: str,
    annotator: str,
    output: Any,
) -> None:
    """Take in an export in which a person judged an item of the queue in this folder."""
    task = json.loads((folder / workload.id / f"{item_id}.json").read_text())
    raw = {
        "id": annotation_key(item_id, annotator),
        "completed_by": {"email": annotator},
        "created_at": stamp(END),
        "updated_at": stamp(END),
        "was_cancelled": False,
        "result": result_of(workload, output),
    }
    file = folder / "export.json"
    file.write_text(json.dumps([task | {"annotations": [raw], "project": 7}]))
    queue.take_export(workload, file, full=False)
