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

from flywheel.io.records import JsonObject
from flywheel.workload.answer_text import (
    line_heading,
    read_line,
    read_lines,
    read_value,
    write_line,
    write_lines,
    write_value,
)
from flywheel.workload.answer_values import format_hint, types_of
from flywheel.workload.model import ClassificationTask, GenerationTask, Workload

__all__ = [
    "ANSWER",
    "LABEL",
    "PROPOSAL",
    "TEXT",
    "VERDICT",
    "AnswerField",
    "Kind",
    "answer_fields",
    "field_of",
]

Kind = Literal["choices", "number", "text", "prose", "group", "list"]
TEXT, LABEL, VERDICT, PROPOSAL = "text", "label", "verdict", "new_category"
ANSWER = "answer"
# Names that the form uses for itself: a property of the same name gets another control.
_RESERVED = frozenset({TEXT, VERDICT, PROPOSAL, "why", "neighbors", "filter"})
# A browser draws buttons for so many options in seconds; more are a list to search in.
_MOST_BUTTONS = 500
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class AnswerField:
    """One question of the form.

    ``name`` is the property of an extraction, None for the label of a classification and the text
    of a generation (``prose``, of several lines); ``options`` maps what is chosen, in words, to the value it stands for. A ``group`` is one line of fields, a
    ``list`` one line for each item (`answer_text`). What is ``nullable`` may be left empty: it is
    null where the schema requires the property.
    """

    name: str | None
    control: str
    kind: Kind
    schema: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True
    is_label: bool = False
    nullable: bool = False

    @property
    def hint(self) -> str:
        """How the value is written, empty where nothing needs to be said."""
        if self.kind == "group":
            return line_heading(self.schema)
        if self.kind == "list":
            parts = line_heading(self.schema.get("items") or {})
            return f"one line for each: {parts}" if parts else "one line for each"
        return "" if self.kind == "choices" else format_hint(self.schema)

    @property
    def is_searched(self) -> bool:
        """Whether the form shows a list to search in, since buttons would be too many."""
        return len(self.options) > _MOST_BUTTONS

    @property
    def title(self) -> str:
        """What the form calls the field."""
        return str(self.schema.get("title") or (self.name or LABEL).replace("_", " "))

    def value_of(self, written: Any) -> Any:
        """Return the value that a person meant; what does not read is left as it was written."""
        if self.kind == "choices":
            return self.options.get(written, written) if isinstance(written, str) else written
        if self.kind == "list":
            lines = [str(line) for line in written] if isinstance(written, list) else [str(written)]
            return read_lines(self.schema, lines)
        if isinstance(written, list):
            written = "\n".join(str(line) for line in written)
        if self.kind == "group":
            return read_line(self.schema, str(written))
        if isinstance(written, float) and written.is_integer() and "integer" in self.types:
            return int(written)
        return read_value(self.schema, written) if isinstance(written, str) else written

    @property
    def types(self) -> list[str]:
        """JSON types that the schema names."""
        return types_of(self.schema)

    def written(self, value: Any) -> Any:
        """Return a value as the form holds it."""
        if self.kind == "number":
            return value
        if self.kind == "list" and isinstance(value, list):
            return write_lines(self.schema, value)
        if self.kind == "group":
            return write_line(self.schema, value)
        if self.kind == "text" and "string" not in self.types:
            return write_value(self.schema, value)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def takes(self, value: Any) -> bool:
        """Return whether the form can show this value."""
        if self.kind == "choices":
            return self.written(value) in self.options
        if self.kind == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        if self.kind == "list":
            return isinstance(value, list)
        return value is not None


def answer_fields(workload: Workload) -> tuple[AnswerField, ...]:
    """Return the fields of a workload's answer, in the order of its schema."""
    labels = {name: name for name in workload.taxonomy.names} if workload.taxonomy else {}
    task = workload.task
    if isinstance(task, ClassificationTask):
        return (AnswerField(None, LABEL, "choices", options=labels, is_label=True),)
    if isinstance(task, GenerationTask):
        return (AnswerField(None, ANSWER, "prose", {"type": "string", "title": "answer"}),)
    required = task.json_schema.get("required", ())
    return tuple(
        field_of(
            name,
            schema if isinstance(schema, dict) else {},
            required=name in required,
            labels=labels if name == task.label_field else None,
        )
        for name, schema in task.json_schema["properties"].items()
    )


def field_of(
    name: str,
    schema: Mapping[str, Any],
    *,
    required: bool,
    labels: Mapping[str, Any] | None = None,
) -> AnswerField:
    """Return the question about one property; ``labels`` are the options of a label field."""
    options = _options(schema) if labels is None else labels
    return AnswerField(
        name,
        _control(name),
        "choices" if options else _kind(schema),
        schema,
        options,
        required,
        is_label=labels is not None,
        nullable="null" in types_of(schema) and not options,
    )


def _kind(schema: Mapping[str, Any]) -> Kind:
    types = [name for name in types_of(schema) if name != "null"]
    if types == ["array"]:
        return "list"
    if types == ["object"] and "properties" in schema:
        return "group"
    return "number" if types and set(types) <= {"number", "integer"} else "text"


def _options(schema: Mapping[str, Any]) -> JsonObject:
    if "enum" in schema:
        values = schema["enum"]
    elif "const" in schema:
        values = [schema["const"]]
    elif "boolean" in types_of(schema):
        values = [True, False, *([None] if "null" in types_of(schema) else [])]
    else:
        return {}
    return {
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False): value
        for value in values
    }


def _control(name: str) -> str:
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return "field_" + hashlib.blake2b(name.encode(), digest_size=6).hexdigest()
