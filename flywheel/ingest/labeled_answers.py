"""Labeled examples whose answer stands whole in one place: `read_answers` reads both kinds of file.

In a CSV it is a column of JSON, in a JSONL file a key of the line.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flywheel.ingest.labeled_file import LabeledFile, LabeledRow
from flywheel.io.delimited_file import TableProblem, read_table, read_text
from flywheel.io.packed_file import suffix_of
from flywheel.io.records import JsonObject
from flywheel.workload.answer_values import read_json
from flywheel.workload.json_text import canonical_json
from flywheel.workload.model import Workload

__all__ = ["read_answers"]

Line = tuple[int, dict[str, Any]]


def read_answers(
    path: Path,
    workload: Workload,
    *,
    text: str,
    answer: str,
    subject: str | None = None,
    separator: str | None = None,
) -> LabeledFile:
    """Read the labeled rows of a CSV, TSV or JSONL file, each problem with its line.

    Args:
        path: UTF-8, with or without byte-order mark, plain, ``.gz`` or ``.zst``.
        workload: decides whether an answer is a label or an object.
        text: column or key of the text.
        answer: column or key of the answer; an object may also be JSON inside a string.
        subject: column or key that says whom the text concerns.
        separator: of a table's cells, where it is not to be guessed.

    Raises:
        NotFoundError: there is no such file.
        DataError: a table lacks a column, or the file is not UTF-8 or cannot be read.
    """
    problems: list[TableProblem] = []
    if suffix_of(path) in {".jsonl", ".ndjson"}:
        lines: list[Line] = list(_lines(path, problems))
    else:
        table = read_table(
            path, [text, answer, *([subject] if subject else [])], separator=separator
        )
        problems += table.problems
        lines = [(row.line, dict(row.cells)) for row in table.rows]
    rows = []
    for number, content in lines:
        try:
            output = _answer(workload, content, text, answer)
        except ValueError as error:
            problems.append(TableProblem(number, str(error)))
            continue
        person = str(content.get(subject) or "").strip() if subject else ""
        rows.append(LabeledRow(number, content[text].strip(), output, person or None))
    return LabeledFile(tuple(rows), tuple(problems))


def _answer(workload: Workload, content: JsonObject, text: str, answer: str) -> Any:
    for key in (text, answer):
        if content.get(key) is None:
            has = ", ".join(map(repr, content)) or "nothing"
            raise ValueError(f"no {key!r}; it has {has}")
    if workload.input == "conversation" and isinstance(content[text], list):
        content[text] = canonical_json(content[text])  # messages
    if not isinstance(content[text], str):
        raise ValueError(f"{text!r} is not a text")  # noqa: TRY004 - about the data
    value = content[answer]
    if workload.form.fields is None or not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{answer!r} is not JSON: {error}") from error


def _lines(path: Path, problems: list[TableProblem]) -> Iterator[Line]:
    content = read_text(path)
    for number, line in enumerate(content.split("\n"), 1):  # no other character ends a line
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(TableProblem(number, f"not JSON: {error}"))
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            problems.append(TableProblem(number, "not a JSON object"))
