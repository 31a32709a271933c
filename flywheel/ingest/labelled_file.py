"""`read_labelled`: the rows of a labelled CSV or TSV, as texts and parsed answers.

Whether the answers are the workload's is decided in `seed_check`; here a cell becomes a value.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.errors import DataError
from flywheel.io.delimited_file import TableProblem, read_table
from flywheel.io.spelling import show_invisible, trim
from flywheel.workload.answer_values import read_json
from flywheel.workload.model import ClassificationTask, ExtractionTask, Workload

__all__ = ["LabelledFile", "LabelledRow", "read_labelled"]

_BOOLEANS = {"true": True, "false": False, "yes": True, "no": False}


@dataclass(frozen=True)
class LabelledRow:
    """One text with its answer; ``subject`` is the person concerned, as the file names them."""

    line: int
    text: str
    output: Any
    subject: str | None = None


@dataclass(frozen=True)
class LabelledFile:
    """The usable rows of a labelled file and what is wrong with the others."""

    rows: tuple[LabelledRow, ...]
    problems: tuple[TableProblem, ...]


def read_labelled(
    path: Path,
    workload: Workload,
    *,
    text: str,
    label: str | None,
    fields: Mapping[str, str],
    subject: str | None = None,
    separator: str | None = None,
) -> LabelledFile:
    """Read a file with a header line; blanks around a cell do not count.

    An empty cell of an optional field means that the answer lacks it; a cell of an array or object
    is JSON.

    Args:
        path: UTF-8, with or without byte-order mark; quoted values may span lines.
        workload: decides what an answer looks like.
        text: column of the text.
        label: column of the label, for a classification or a schema's label field.
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
    rows: list[LabelledRow] = []
    problems = list(table.problems)
    for row in table.rows:
        try:
            output = _answer(workload, {key: row.cells[name] for key, name in columns.items()})
        except ValueError as error:
            problems.append(TableProblem(row.line, str(error)))
            continue
        person = trim(row.cells[subject]) if subject else ""
        rows.append(LabelledRow(row.line, trim(row.cells[text]), output, person or None))
    return LabelledFile(tuple(rows), tuple(problems))


def _answer_columns(
    workload: Workload, label: str | None, fields: Mapping[str, str]
) -> dict[str, str]:
    if isinstance(workload.task, ClassificationTask):
        return {"": label} if label is not None else {}
    unknown = [name for name in fields if name not in workload.task.json_schema["properties"]]
    if unknown:
        raise DataError(
            f"{workload.id} has no field {', '.join(unknown)}.",
            next_step=f"its fields are: {', '.join(workload.task.json_schema['properties'])}",
        )
    columns = dict(fields)
    if label is not None and workload.task.label_field is not None:
        columns.setdefault(workload.task.label_field, label)
    return columns


def _answer(workload: Workload, cells: Mapping[str, str]) -> Any:
    task = workload.task
    if isinstance(task, ClassificationTask):
        return trim(cells[""])
    needed = task.json_schema.get("required", [])
    answer = {}
    for name, cell in cells.items():
        content = trim(cell)
        schema = task.json_schema["properties"][name]
        kinds = schema.get("type", "string") if isinstance(schema, dict) else "string"
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if content:
            answer[name] = _value(name, content, kinds)
        elif name in needed:
            if "null" not in kinds:
                raise ValueError(f"no {name}")
            answer[name] = None
    return answer


def _value(name: str, content: str, kinds: list[str]) -> Any:
    # A CSV holds text only; the schema says what a field is.
    if {"array", "object"} & set(kinds):
        try:
            return read_json(content)
        except (ValueError, RecursionError):
            raise _not(name, content, "JSON") from None
    if {"integer", "number"} & set(kinds):
        number = _number(content, whole="number" not in kinds)
        if number is not None or "string" not in kinds:
            if number is None:
                raise _not(name, content, "a number")
            return number
    if "boolean" in kinds:
        said = _BOOLEANS.get(content.casefold())
        if said is not None or "string" not in kinds:
            if said is None:
                raise _not(name, content, "true or false")
            return said
    return content


def _number(content: str, *, whole: bool) -> float | None:
    try:
        if whole or content.lstrip("+-").isdecimal():
            return int(content)
        number = float(content)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _not(name: str, content: str, what: str) -> ValueError:
    return ValueError(f"{name}: {show_invisible(content, limit=60)!r} is not {what}")
