"""`read_labeled`: the rows of a labeled CSV or TSV, as texts and parsed answers.

Whether the answers are the workload's is decided in `seed_check`; here a cell becomes a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.errors import DataError
from flywheel.io.delimited_file import TableProblem, read_table
from flywheel.io.spelling import show_invisible, trim
from flywheel.workload.answer_text import read_value
from flywheel.workload.answer_values import types_of
from flywheel.workload.model import ExtractionTask, Workload

__all__ = ["LabeledFile", "LabeledRow", "read_labeled"]

# What a cell is said not to be, by the types of its field.
_WRITTEN = (
    ({"array", "object"}, "JSON"),
    ({"integer", "number"}, "a number"),
    ({"boolean"}, "true or false"),
)


@dataclass(frozen=True)
class LabeledRow:
    """One text with its answer; ``subject`` is the person concerned, as the file names them."""

    line: int
    text: str
    output: Any
    subject: str | None = None


@dataclass(frozen=True)
class LabeledFile:
    """The usable rows of a labeled file and what is wrong with the others."""

    rows: tuple[LabeledRow, ...]
    problems: tuple[TableProblem, ...]


def read_labeled(
    path: Path,
    workload: Workload,
    *,
    text: str,
    label: str | None,
    fields: Mapping[str, str],
    subject: str | None = None,
    separator: str | None = None,
) -> LabeledFile:
    """Read a file with a header line; blanks around a cell do not count.

    An empty cell of an optional field means that the answer lacks it; a cell of an array or object
    is JSON.

    Args:
        path: UTF-8, with or without byte-order mark; quoted values may span lines.
        workload: decides what an answer looks like.
        text: column of the text.
        label: column of the label, for a classification or a schema's label field, or of the
            text of a generation.
        fields: columns of an extraction's fields; where none is named, those of the same names.
        subject: column that says whom the text concerns.
        separator: of the cells, where it is not to be guessed.

    Raises:
        NotFoundError: there is no such file.
        DataError: a column is missing or there twice, or the file is not UTF-8.
    """
    task = workload.task
    columns = _answer_columns(workload, label, fields)
    required = [text, *columns.values(), *([subject] if subject else [])]
    table = read_table(path, required, separator=separator)
    if isinstance(task, ExtractionTask) and not fields:
        properties = task.json_schema["properties"]
        columns = {name: name for name in table.columns if name in properties} | columns
    if not columns:
        raise DataError(
            f"Which column of {path.name} holds the answer?",
            next_step="name it with --label COLUMN, or --field NAME=COLUMN for an extraction; "
            f"its columns are: {', '.join(map(show_invisible, table.columns))}",
        )
    rows: list[LabeledRow] = []
    problems = list(table.problems)
    for row in table.rows:
        try:
            output = _answer(workload, {key: row.cells[name] for key, name in columns.items()})
        except ValueError as error:
            problems.append(TableProblem(row.line, str(error)))
            continue
        person = trim(row.cells[subject]) if subject else ""
        rows.append(LabeledRow(row.line, trim(row.cells[text]), output, person or None))
    return LabeledFile(tuple(rows), tuple(problems))


def _answer_columns(
    workload: Workload, label: str | None, fields: Mapping[str, str]
) -> dict[str, str]:
    task = workload.task
    if not isinstance(task, ExtractionTask):
        return {"": label} if label is not None else {}
    unknown = [name for name in fields if name not in task.json_schema["properties"]]
    if unknown:
        raise DataError(
            f"{workload.id} has no field {', '.join(unknown)}.",
            next_step=f"its fields are: {', '.join(task.json_schema['properties'])}",
        )
    columns = dict(fields)
    if label is not None and task.label_field is not None:
        columns.setdefault(task.label_field, label)
    return columns


def _answer(workload: Workload, cells: Mapping[str, str]) -> Any:
    task = workload.task
    if not isinstance(task, ExtractionTask):
        return trim(cells[""])
    needed = task.json_schema.get("required", [])
    answer = {}
    for name, cell in cells.items():
        content = trim(cell)
        schema = task.json_schema["properties"][name]
        if content:
            answer[name] = _value(name, content, schema)
        elif name in needed:
            if "null" not in types_of(schema):
                raise ValueError(f"no {name}")
            answer[name] = None
    return answer


def _value(name: str, content: str, schema: Mapping[str, Any]) -> Any:
    # A CSV holds text only; the schema says what a field is.
    value = read_value(schema, content)
    types = set(types_of(schema)) - {"null"}
    if isinstance(value, str) and types and "string" not in types and not _is_option(schema, value):
        expected = next(words for kinds, words in _WRITTEN if kinds & types)
        raise ValueError(f"{name}: {show_invisible(content, limit=60)!r} is not {expected}")
    return value


def _is_option(schema: Mapping[str, Any], value: str) -> bool:
    return value in schema.get("enum", ()) or value == schema.get("const")
