"""Review items for tests of the queue."""

from typing import Any

from flywheel.ports.review_queue import ReviewItem
from flywheel.workload.model import Workload
from tests.fakes.review_world import END


def review_item(workload: Workload, number: int = 0, **changes: Any) -> ReviewItem:
    """Return one item that one person judges."""
    values: dict[str, Any] = {
        "item_id": f"item{number:04d}",
        "batch_id": "2026Q1-20260101",
        "workload_id": workload.id,
        "inference_id": f"i{number:05d}",
        "slice": "uncertain",
        "reason": "confidence 0.41 below 0.85",
        "score": 0.59,
        "inclusion_probability": None,
        "input": f"report {number}",
        "model_output": None,
        "confidence": 0.41,
        "release": "base",
        "judgments": 1,
        "priority": 1 - number / 100,
        "subject_id": None,
        "chosen_at": END,
        "period": "2026Q1",
    }
    return ReviewItem(**values | changes)
