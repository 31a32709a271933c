"""Texts that the tiny base gets tokens of its own for: labels, spare labels, the rest of answers.

One token per label keeps answers short. Square brackets rather than angle brackets: a name in
angle brackets is read as a control token by constraint libraries and would be masked out.
"""

import itertools
from collections.abc import Mapping
from typing import Any

from flywheel.answers import canonical_json
from flywheel.workload import ClassificationTask, Workload

__all__ = ["answer_segments", "label_surfaces", "reserved_surfaces"]

_SLOT = "\x00"
_MOST_SEGMENTS = 256


def label_surfaces(workload: Workload) -> dict[str, str]:
    """Give every label of the workload, retired ones included, its surface."""
    labels = workload.taxonomy.labels if workload.taxonomy else ()
    return {label.id: f"[{label.id}]" for label in labels}


def reserved_surfaces(count: int, taken: Mapping[str, str]) -> tuple[str, ...]:
    """Name ``count`` spare surfaces that no label bears."""
    names = (f"[label_{number}]" for number in itertools.count())
    free = (name for name in names if name not in set(taken.values()))
    return tuple(itertools.islice(free, count))


def answer_segments(workload: Workload) -> list[str]:
    """List what stands around the label in every possible answer of a closed schema.

    An open schema (free text, numbers) has no such list; its answers use ordinary tokens.
    """
    if isinstance(workload.task, ClassificationTask):
        return []
    values: list[list[Any]] = []
    for name, field in workload.task.json_schema["properties"].items():
        if name == workload.task.label_field:
            values.append([_SLOT])
        elif isinstance(field, dict) and isinstance(field.get("enum"), list):
            values.append(field["enum"])
        else:
            return []
    names = list(workload.task.json_schema["properties"])
    texts = (
        canonical_json(dict(zip(names, combination, strict=True)))
        for combination in itertools.islice(itertools.product(*values), _MOST_SEGMENTS)
    )
    slot = canonical_json(_SLOT)[1:-1]
    segments = dict.fromkeys(part for text in texts for part in text.split(slot))
    return [segment for segment in segments if segment]
