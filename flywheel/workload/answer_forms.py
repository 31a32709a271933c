"""`AnswerForm`: what the answers of a task are, for everything that need not know the task itself.

An answer is a label, an object with fields, or a text. A stage that treats all tasks alike asks the
form (`Workload.form`); one that builds something of its own for a task looks at `Workload.task`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flywheel.io.records import JsonObject
from flywheel.workload.answer_values import ordered, read_json
from flywheel.workload.generation import GenerationTask
from flywheel.workload.json_text import canonical_json
from flywheel.workload.tasks import ClassificationTask, ExtractionTask, Task
from flywheel.workload.text_edits import edit_similarity, tidy

__all__ = ["AnswerForm", "answer_form"]


class AnswerForm(Protocol):
    """What a task's answers are.

    ``fields`` is the JSON schema of an object with fields, None where an answer is one text;
    ``has_label`` says whether the taxonomy governs answers.
    """

    @property
    def fields(self) -> Mapping[str, Any] | None:
        """JSON schema of the object, None where the answer is a label or a text."""
        ...

    @property
    def has_label(self) -> bool:
        """Whether an answer holds a label of the taxonomy."""
        ...

    @property
    def is_text(self) -> bool:
        """Whether an answer is a text of its own: two that differ may both be good."""
        ...

    def schema(self, names: Sequence[str]) -> JsonObject:
        """Return the JSON schema of a parsed answer, with the names of the active labels."""
        ...

    def label_of(self, output: Any) -> str | None:
        """Return the label name inside an answer, None where it has none."""
        ...

    def with_label(self, output: Any, name: str) -> Any:
        """Return an answer with its label replaced."""
        ...

    def normal(self, output: Any) -> Any:
        """Return an answer in its one spelling: without what tells no answers apart."""
        ...

    def write(self, output: Any) -> str:
        """Return an answer as rows of a dataset and a model's text hold it."""
        ...

    def read(self, text: str) -> Any:
        """Return the answer that a text stands for; ValueError where it stands for none."""
        ...

    def alike(self, one: Any, other: Any) -> bool:
        """Return whether two answers that are not equal count as the same."""
        ...


def answer_form(task: Task) -> AnswerForm:
    """Return what the answers of a task are."""
    if isinstance(task, ClassificationTask):
        return _Label()
    if isinstance(task, GenerationTask):
        return _Text(task)
    return _Fields(task)


class _Label:
    fields = None
    has_label = True
    is_text = False

    def schema(self, names: Sequence[str]) -> JsonObject:
        return {"enum": list(names)}

    def label_of(self, output: Any) -> str | None:
        return output if isinstance(output, str) else None

    def with_label(self, output: Any, name: str) -> Any:  # noqa: ARG002 - the label is all of it
        return name

    def normal(self, output: Any) -> Any:
        return output.strip() if isinstance(output, str) else output

    def write(self, output: Any) -> str:
        return output if isinstance(output, str) else canonical_json(output)

    def read(self, text: str) -> Any:
        return text

    def alike(self, one: Any, other: Any) -> bool:  # noqa: ARG002 - labels are equal or not
        return False


class _Fields:
    is_text = False

    def __init__(self, task: ExtractionTask) -> None:
        self._field = task.label_field
        self.fields: Mapping[str, Any] = task.json_schema
        self.has_label = task.label_field is not None

    def schema(self, names: Sequence[str]) -> JsonObject:
        schema: dict[str, Any] = json.loads(canonical_json(self.fields))
        if self._field is not None:
            schema["properties"][self._field] |= {"type": "string", "enum": list(names)}
        return schema

    def label_of(self, output: Any) -> str | None:
        if self._field is None or not isinstance(output, dict):
            return None
        value = output.get(self._field)
        return value if isinstance(value, str) else None

    def with_label(self, output: Any, name: str) -> Any:
        return {**output, str(self._field): name}

    def normal(self, output: Any) -> Any:
        return ordered(self.fields, output)

    def write(self, output: Any) -> str:
        return canonical_json(self.normal(output))

    def read(self, text: str) -> Any:
        return read_json(text)

    def alike(self, one: Any, other: Any) -> bool:  # noqa: ARG002 - objects are equal or not
        return False


class _Text:
    fields = None
    has_label = False
    is_text = True

    def __init__(self, task: GenerationTask) -> None:
        self._same_text = task.same_text

    def schema(self, names: Sequence[str]) -> JsonObject:  # noqa: ARG002 - a text has no label
        return {"type": "string", "minLength": 1}

    def label_of(self, output: Any) -> str | None:  # noqa: ARG002 - as above
        return None

    def with_label(self, output: Any, name: str) -> Any:  # noqa: ARG002 - as above
        return output

    def normal(self, output: Any) -> Any:
        return tidy(output) if isinstance(output, str) else output

    def write(self, output: Any) -> str:
        return tidy(output) if isinstance(output, str) else canonical_json(output)

    def read(self, text: str) -> Any:
        return tidy(text)

    def alike(self, one: Any, other: Any) -> bool:
        texts = isinstance(one, str) and isinstance(other, str)
        return texts and edit_similarity(one, other) >= self._same_text
