"""Labeled examples that a workload starts from: accepted corrections of slice ``seed``."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from flywheel.errors import DataError
from flywheel.events import derived_id
from flywheel.ingest.seed_check import text_key
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.workload.answers import canonical_json
from flywheel.workload.conversation import input_length, plain_input
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import Workload

__all__ = ["import_seed", "label_counts", "seed_answers"]

_SHOWN = 20


def import_seed(
    lake: Lake,
    workload: Workload,
    rows: Iterable[tuple[str, Any]],
    *,
    source_name: str,
    now: datetime,
    subject_ids: Sequence[str | None] | None = None,
) -> int:
    """Write labeled examples as accepted corrections and return how many were new.

    The same rows again add nothing.

    Args:
        lake: where to.
        workload: whose taxonomy and schema the answers must keep.
        rows: (text, parsed answer) pairs.
        source_name: file or data set, for provenance.
        now: when they are accepted.
        subject_ids: of the persons concerned, hashed, one for each row.

    Raises:
        DataError: a text is empty or too long, or an answer is not one of the workload's.
    """
    pairs = _checked(workload, list(rows))
    digest = hashlib.sha256()
    for text, output in pairs:
        digest.update(f"{len(text)}:{text}{output}\n".encode())
    key = digest.hexdigest()
    table = _corrections(workload, pairs, key, source_name, now)
    if subject_ids is not None:
        place = table.schema.get_field_index("subject_id")
        table = table.set_column(place, "subject_id", pa.array(subject_ids, pa.string()))
    new = lake.append("corrections", table, once=(f"seed:{workload.id}:{key}", 1))
    return len(pairs) if new else 0


def seed_answers(lake: Lake, workload_id: str) -> dict[str, str]:
    """Return the answers (JSON) of the seed that a workload has, by `text_key`."""
    rows = lake.rows(
        "SELECT input, output FROM latest_corrections WHERE workload_id = ? AND slice = 'seed' "
        "AND status = 'accepted' AND input IS NOT NULL AND output IS NOT NULL",
        [workload_id],
    )
    return {text_key(row["input"]): row["output"] for row in rows}


def label_counts(lake: Lake, workload_id: str) -> dict[str, int]:
    """Count the texts of a workload's seed by label id, an empty one where there are no labels."""
    rows = lake.rows(
        "SELECT coalesce(label_id, '') AS label, count(DISTINCT input) AS n "
        "FROM latest_corrections WHERE workload_id = ? AND slice = 'seed' "
        "AND status = 'accepted' GROUP BY label ORDER BY label",
        [workload_id],
    )
    return {row["label"]: row["n"] for row in rows}


def _checked(workload: Workload, rows: Sequence[tuple[str, Any]]) -> list[tuple[str, str]]:
    if not rows:
        raise DataError("There are no rows to import.", next_step="check the file")
    mapping = AnswerMapping(workload)
    pairs: list[tuple[str, str]] = []
    unknown: dict[str, int] = {}
    problems: dict[str, str] = {}
    limit = workload.limits.input_characters
    for number, (written, output) in enumerate(rows, 1):
        text = plain_input(workload.input, written, limit)
        _check_text(workload, text, number)
        current_output = mapping.present(output)  # in today's label names
        if current_output.problem is None:
            pairs.append((text, canonical_json(current_output.output)))
            continue
        original = canonical_json(output)
        unknown[original] = unknown.get(original, 0) + 1
        problems.setdefault(original, f"row {number}: {current_output.problem}")
    if unknown:
        lines = [
            f"  {value} ({count} rows), {problems[value]}"
            for value, count in list(unknown.items())[:_SHOWN]
        ]
        more = [f"  and {len(unknown) - _SHOWN} more"] if len(unknown) > _SHOWN else []
        raise DataError(
            f"{len(unknown)} answers are none of {workload.id}'s:\n" + "\n".join(lines + more),
            next_step="correct the file, or add missing labels to the workload's taxonomy",
            unknown=unknown,
        )
    return pairs


def _check_text(workload: Workload, text: str, number: int) -> None:
    limit = workload.limits.input_characters
    if not text.strip():
        raise DataError(f"Row {number} has no text.", next_step="remove or complete it")
    length = input_length(workload.input, text)
    if length > limit:
        raise DataError(
            f"The text of row {number} has {length} characters, {limit} are allowed.",
            next_step="shorten it, or raise limits.input_characters in the workload",
        )


def _corrections(
    workload: Workload,
    pairs: Sequence[tuple[str, str]],
    digest: str,
    source_name: str,
    now: datetime,
) -> pa.Table:

    count = len(pairs)
    labels: list[str | None] = []
    for _, output in pairs:
        name = workload.label_of(json.loads(output))
        label = workload.taxonomy.find(name) if workload.taxonomy and name else None
        labels.append(label.id if label else None)
    columns: dict[str, list[Any]] = {
        "workload_id": [workload.id] * count,
        "correction_id": [derived_id("seed", workload.id, digest, i) for i in range(count)],
        "version": [1] * count,
        "status": ["accepted"] * count,
        "batch_id": [f"seed:{source_name}"] * count,
        "slice": ["seed"] * count,
        "input": [text for text, _ in pairs],
        "output": [output for _, output in pairs],
        "label_id": labels,
        "taxonomy_version": [workload.taxonomy_version] * count,
        "annotators": [[]] * count,
        "annotation_ids": [[]] * count,
        "simulated": [False] * count,
        "source": ["seed"] * count,
        "subject_id": [None] * count,
        "event_time": [now] * count,
        "accepted_at": [now] * count,
    }
    schema = TABLES["corrections"].schema
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )
