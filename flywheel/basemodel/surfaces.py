"""Texts that the tiny base gets tokens of its own for: labels, spare labels, the rest of answers.

One token per label keeps answers short. Square brackets rather than angle brackets: a name in
angle brackets is read as a control token by constraint libraries and would be masked out.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flywheel.workload.answers import canonical_json
from flywheel.workload.model import ExtractionTask, Workload

__all__ = ["answer_segments", "label_surfaces", "reserved_surfaces"]


def label_surfaces(workload: Workload) -> dict[str, str]:
    """Give every label of the workload, retired ones included, its surface."""
    labels = workload.taxonomy.labels if workload.taxonomy else ()
    return {label.id: f"[{label.id}]" for label in labels}


def reserved_surfaces(count: int, used: Mapping[str, str]) -> tuple[str, ...]:
    """Name ``count`` spare surfaces that no label bears."""
    names = (f"[label_{number}]" for number in itertools.count())
    taken = set(used.values())
    free = (name for name in names if name not in taken)
    return tuple(itertools.islice(free, count))


def answer_segments(workload: Workload) -> list[str]:
    """List the pieces around the label in every possible answer of a closed schema.

    The pieces are cut where a mask gives a choice: what is forced is one piece, and each value is
    one with all that follows it, so that ``{"fault":"…","urgency":"low"}`` is four tokens and a
    constraint library, which feeds forced text on its own, comes to the same four. An open schema
    (free text, numbers, optional properties) has no such list; it uses ordinary tokens.
    """
    task = workload.task
    if not isinstance(task, ExtractionTask):
        return []
    properties = task.json_schema["properties"]
    if set(task.json_schema.get("required", ())) != set(properties):
        return []
    fields: list[_Field] = []
    for name, schema in properties.items():
        if name == task.label_field:
            fields.append(_Field(name, None))
        elif isinstance(schema, dict) and isinstance(schema.get("enum"), list):
            fields.append(_Field(name, schema["enum"]))
        else:
            return []
    segments = ["{" + fields[0].opening]
    for field, following in itertools.zip_longest(fields, fields[1:]):
        tail = "," + following.opening if following else "}"
        segments += [ending + tail for ending in field.endings]
    return list(dict.fromkeys(segments))


@dataclass(frozen=True)
class _Field:
    # One property; ``values`` is None for the label, whose surface is a token of its own.
    name: str
    values: list[Any] | None

    @property
    def _quoted(self) -> bool:
        return self.values is None or all(isinstance(value, str) for value in self.values)

    @property
    def opening(self) -> str:
        return canonical_json(self.name) + ":" + ('"' if self._quoted else "")

    @property
    def endings(self) -> list[str]:
        if self.values is None:
            return ['"']
        written = [canonical_json(value) for value in self.values]
        return [text[1:] if self._quoted else text for text in written]
