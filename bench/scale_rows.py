"""Rows of the long lives that `bench.scale` measures: profiles, review items, dead letters."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from flywheel.lake.tables import TABLES
from flywheel.ports.review_queue import ReviewItem
from flywheel.workload.model import Workload

__all__ = ["NOW", "case_rows", "letter_rows", "profile_rows", "review_item", "sent_row"]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def profile_rows(workload_id: str, *, days: int, categories: int) -> pa.Table:
    """Return the profiles of the last days: totals, and counts of so many categories."""
    kinds = ["total"] + ["category"] * categories
    columns = ["events"] + ["output"] * categories
    keys = ["", *(f"label {number}" for number in range(categories))]
    tables = []
    for back in range(days):
        day = NOW.date() - timedelta(days=back + 1)
        counts = [3 * categories, *((number * 7 + back) % 5 + 1 for number in range(categories))]
        rows = len(counts)
        tables.append(
            pa.table(
                {
                    "workload_id": [workload_id] * rows,
                    "day": pa.array([day] * rows, pa.date32()),
                    "column": columns,
                    "kind": kinds,
                    "key": keys,
                    "count": counts,
                }
            )
        )
    return pa.concat_tables(tables)


def review_item(workload: Workload, number: int) -> ReviewItem:
    """Return an open item of the workload by its number."""
    return ReviewItem(
        item_id=f"item{number:06d}",
        batch_id="2026Q1-20260101",
        workload_id=workload.id,
        inference_id=f"i{number:06d}",
        slice="uncertain",
        reason="confidence 0.41 below 0.85",
        score=0.59,
        inclusion_probability=None,
        input=f"report {number}",
        model_output=None,
        confidence=0.41,
        release="base",
        judgments=1,
        priority=0.5,
        subject_id=None,
        chosen_at=NOW - timedelta(days=2),
        period="2026Q1",
    )


def sent_row(item: ReviewItem) -> dict[str, Any]:
    """Return the row that an item has in the lake."""
    names = TABLES["review_items"].schema.names
    values = {name: getattr(item, name, None) for name in names}
    return values | {"day": item.chosen_at.date(), "batch_kind": "window", "model_output": None}


def letter_rows(numbers: range) -> pa.Table:
    """Return dead letters by their numbers."""
    count = len(numbers)
    return pa.table(
        {
            "topic_id": ["t"] * count,
            "topic": ["flywheel.inferences"] * count,
            "partition": pa.array([0] * count, pa.int32()),
            "offset": list(numbers),
            "raw": [b'{"broken": %d' % number for number in numbers],
            "reason": [f"reason_{number % 5}" for number in numbers],
            "error": ["it ends too early"] * count,
            "first_seen": [NOW - timedelta(seconds=number) for number in numbers],
        }
    )


def case_rows(workload_id: str, labels: Sequence[str], names: Sequence[str]) -> pa.Table:
    """Return two golden cases a label, every fifth answered with the name of the next label."""
    numbers = range(2 * len(labels))
    wrong = [number % 5 == 0 for number in numbers]
    answered = [
        (number // 2 + is_wrong) % len(names)
        for number, is_wrong in zip(numbers, wrong, strict=True)
    ]
    return pa.table(
        {
            "workload_id": [workload_id] * len(numbers),
            "cycle": ["2026Q1-1"] * len(numbers),
            "attempt": pa.array([1] * len(numbers), pa.int32()),
            "suite": ["golden"] * len(numbers),
            "arm": ["candidate"] * len(numbers),
            "release": ["r"] * len(numbers),
            "inference_id": [f"i{number}" for number in numbers],
            "label_id": [labels[number // 2] for number in numbers],
            "output": [json.dumps(names[index]) for index in answered],
            "correct": [not is_wrong for is_wrong in wrong],
        }
    )
