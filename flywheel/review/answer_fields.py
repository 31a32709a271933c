"""The fields of an answer as a form asks for them: one per question, typed by the schema.

The form (`label_studio.labeling_config`) and the reader of what was filled in
(`label_studio_format`) both go by these, so that neither knows a field which the other lacks.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flywheel.workload import ClassificationTask, Workload

__all__ = ["LABEL", "PROPOSAL", "TEXT", "VERDICT", "AnswerField", "Kind", "answer_fields"]

Kind = Literal["choices", "number", "text"]
TEXT, LABEL, VERDICT, PROPOSAL = "text", "label", "verdict", "new_category"
# Names that the form uses for itself: a property of the same name gets another control.
_RESERVED = frozenset({TEXT, VERDICT, PROPOSAL, "why", "neighbours", "filter"})
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class AnswerField:
    """One question of the form.

    ``name`` is the property of an extraction, None for the label of a classification; ``options``
    maps what is chosen, in words, to the value it stands for.
    """

    name: str | None
    control: str
    kind: Kind
    schema: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True
    is_label: bool = False

    @property
    def title(self) -> str:
        """What the form calls the field."""
        return str(self.schema.get("title") or (self.name or LABEL).replace("_", " "))

    def value_of(self, written: Any) -> Any:
        """Return the value that a person meant; what does not read is left as it was written."""
        if self.kind == "choices":
            return self.options.get(written, written) if isinstance(written, str) else written
        types = _types(self.schema)
        if isinstance(written, float) and written.is_integer() and "integer" in types:
            return int(written)
        if isinstance(written, str) and types and "string" not in types:
            try:
                return json.loads(written, parse_constant=_refuse)
            except ValueError:
                return written
        return written

    def written(self, value: Any) -> Any:
        """Return a value as the form holds it."""
        if self.kind == "number":
            return value
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def takes(self, value: Any) -> bool:
        """Say whether the form can show this value."""
        if self.kind == "choices":
            return self.written(value) in self.options
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        return value is not None


def answer_fields(workload: Workload) -> tuple[AnswerField, ...]:
    """Return the fields of a workload's answer, in the order of its schema."""
    labels = {name: name for name in workload.taxonomy.names} if workload.taxonomy else {}
    task = workload.task
    if isinstance(task, ClassificationTask):
        return (AnswerField(None, LABEL, "choices", options=labels, is_label=True),)
    required = task.json_schema.get("required", ())
    fields = []
    for name, schema in task.json_schema["properties"].items():
        details = schema if isinstance(schema, dict) else {}
        is_label = name == task.label_field
        options = labels if is_label else _options(details)
        kind: Kind = "choices" if options else ("number" if _is_number(details) else "text")
        fields.append(
            AnswerField(
                name,
                _control(name),
                kind,
                details,
                options,
                name in required,
                is_label,
            )
        )
    return tuple(fields)


def _options(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        values = schema["enum"]
    elif schema.get("type") == "boolean":
        values = [True, False]
    else:
        return {}
    return {
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False): value
        for value in values
    }


def _is_number(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("number", "integer")


def _types(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _control(name: str) -> str:
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return "field_" + hashlib.blake2b(name.encode(), digest_size=6).hexdigest()


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON
