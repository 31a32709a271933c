"""Labelled examples whose answer stands whole in one place: `read_answers` reads both kinds of file.

In a CSV it is a column of JSON, in a JSONL file a key of the line.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flywheel.answer_values import read_json
from flywheel.delimited_file import read_delimited
from flywheel.errors import DataError, NotFoundError
from flywheel.workload import ClassificationTask, Workload

__all__ = ["read_answers"]

_SHOWN = 20


def read_answers(
    path: Path, workload: Workload, *, text: str, answer: str
) -> list[tuple[str, Any]]:
    """Return (text, parsed answer) pairs of a CSV, TSV or JSONL file.

    Args:
        path: UTF-8, with or without byte-order mark.
        workload: decides whether an answer is a label or an object.
        text: column or key of the text.
        answer: column or key of the answer; an object may also be JSON inside a string.

    Raises:
        NotFoundError: there is no such file.
        DataError: lines cannot be read; all of them are named by their number.
    """
    is_label = isinstance(workload.task, ClassificationTask)
    lines = path.suffix.lower() in {".jsonl", ".ndjson"}
    rows = _lines(path) if lines else _cells(path, text, answer)
    pairs: list[tuple[str, Any]] = []
    problems: list[str] = []
    for place, row in rows:
        problem = row if isinstance(row, str) else _missing(row, text, answer)
        if problem is None and not isinstance(row, str):
            value = row[answer]
            try:
                output = value if is_label or not isinstance(value, str) else read_json(value)
            except (ValueError, RecursionError) as error:
                problem = f"{answer!r} is not JSON: {error}"
            else:
                pairs.append((row[text], output))
        if problem is not None:
            problems.append(f"  {place}: {problem}")
    if problems:
        more = [f"  and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise DataError(
            f"{len(problems)} lines of {path.name} are not labelled examples:\n"
            + "\n".join(problems[:_SHOWN] + more),
            next_step="correct the lines; nothing was imported",
        )
    return pairs


def _missing(row: dict[str, Any], text: str, answer: str) -> str | None:
    for key in (text, answer):
        if row.get(key) is None:
            return f"no {key!r}; it has {', '.join(map(repr, row)) or 'nothing'}"
    return None if isinstance(row[text], str) else f"{text!r} is not a text"


def _cells(path: Path, text: str, answer: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
    for number, row in read_delimited(path, [text, answer]):
        yield f"row {number}", row


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", next_step="check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not UTF-8: {error}", next_step="convert it, e.g. with iconv"
        ) from error
    for number, line in enumerate(content.split("\n"), 1):  # no other character ends a line
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield f"line {number}", f"not JSON: {error}"
            continue
        yield f"line {number}", row if isinstance(row, dict) else "not a JSON object"
