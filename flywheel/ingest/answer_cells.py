"""Cells of a labelled file as the fields of an answer: `answer_of_cells` types them by the schema."""

from collections.abc import Iterable, Mapping
from typing import Any

from flywheel.answer_text import read_value
from flywheel.answer_values import types_of
from flywheel.workload import ClassificationTask, Workload

__all__ = ["answer_of_cells", "fields_by_name"]


def answer_of_cells(workload: Workload, cells: Mapping[str, str]) -> dict[str, Any]:
    """Return the answer that a row's cells amount to; what does not read is left as its text.

    A cell of a list or a group of fields holds JSON. An empty cell is null where the field is
    required and may be null, and absent otherwise: nobody said that the answer is the empty text.

    Args:
        workload: its schema says what each field is.
        cells: by the name of the field.
    """
    task = workload.task
    assert not isinstance(task, ClassificationTask)  # a label is not made of fields
    schema = task.json_schema
    answer: dict[str, Any] = {}
    for name, cell in cells.items():
        details = schema["properties"].get(name)
        details = details if isinstance(details, Mapping) else {}
        if cell.strip():
            answer[name] = cell if name == task.label_field else read_value(details, cell)
        elif "null" in types_of(details) and name in schema.get("required", ()):
            answer[name] = None
    return answer


def fields_by_name(workload: Workload, columns: Iterable[str]) -> dict[str, str]:
    """Return the columns that are called like a field of the workload's answer, by that field."""
    task = workload.task
    if isinstance(task, ClassificationTask):
        return {}
    return {name: name for name in columns if name in task.json_schema["properties"]}
