"""Accepted corrections as examples, in the labels of the present taxonomy."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flywheel.lake.store import Lake
from flywheel.similarity.normal_form import input_hash
from flywheel.workload.label_mapping import AnswerMapping
from flywheel.workload.model import GenerationTask, Workload
from flywheel.workload.text_rules import broken_rules

__all__ = ["Example", "Excluded", "example_from", "read_examples"]

_ACCEPTED = """
SELECT coalesce(inference_id, correction_id) AS inference_id, correction_id, slice, source, input,
       output, original_output, subject_id, event_time
FROM latest_corrections
WHERE workload_id = $workload AND status = 'accepted' AND input IS NOT NULL AND output IS NOT NULL
ORDER BY correction_id
"""


@dataclass(frozen=True)
class Example:
    """One accepted answer; ``key`` tells answers apart, ``input_hash`` inputs."""

    inference_id: str
    correction_id: str
    input: str
    output: Any
    label_id: str | None
    key: str
    input_hash: str
    slice: str
    seed: bool = False
    rejected: str | None = None
    subject_id: str | None = None
    event_time: datetime | None = None

    @property
    def measures(self) -> bool:
        """Whether it was drawn at random and judged blind: control items and directed ones."""
        return self.slice in ("control", "directed")


@dataclass(frozen=True)
class Excluded:
    """An example that is in no split, and why."""

    example: Example
    reason: str


def example_from(
    mapping: AnswerMapping, row: Mapping[str, Any], hash_key: str
) -> Example | Excluded:
    """Read one row; an answer that the present taxonomy, schema or rules refuse is set aside."""
    current_output = mapping.present(row["output"])
    original = row.get("original_output")
    rejected = None
    if original is not None and mapping.key(original) != mapping.key(row["output"]):
        rejected = mapping.text(mapping.present(original).output)
    example = Example(
        inference_id=row["inference_id"],
        correction_id=row["correction_id"],
        input=row["input"],
        output=current_output.output,
        label_id=current_output.label_id,
        key=mapping.key(row["output"]),
        input_hash=input_hash(row["input"], hash_key),
        slice=row.get("slice") or "",
        seed=row.get("source") != "review",
        rejected=rejected,
        subject_id=row.get("subject_id"),
        event_time=row.get("event_time"),
    )
    if current_output.usable:
        return (
            Excluded(example, "breaks_rules")
            if _breaks_rules(mapping.workload, example)
            else example
        )
    return Excluded(example, "label_retired" if current_output.label_id else "not_in_schema")


def _breaks_rules(workload: Workload, example: Example) -> bool:
    # A text that people accepted against the workload's own rules would teach to break them.
    if not isinstance(workload.task, GenerationTask):
        return False
    rules, text = workload.task.rules, str(example.output)
    return bool(broken_rules(rules, input_text=example.input, text=text, accepted=text))


def read_examples(
    lake: Lake, workload_id: str, mapping: AnswerMapping, hash_key: str
) -> tuple[list[Example], list[Excluded]]:
    """Read what people accepted in all cycles, the seed included."""
    rows = lake.rows(_ACCEPTED, {"workload": workload_id})
    for row in rows:
        row["output"] = json.loads(row["output"])
        row["original_output"] = json.loads(row["original_output"] or "null")
    return _sort_out(example_from(mapping, row, hash_key) for row in rows)


def _sort_out(results: Iterable[Example | Excluded]) -> tuple[list[Example], list[Excluded]]:
    examples: list[Example] = []
    excluded: list[Excluded] = []
    for one in results:
        if isinstance(one, Excluded):
            excluded.append(one)
        else:
            examples.append(one)
    return examples, excluded
