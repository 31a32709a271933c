"""`read_table`: the one reader of delimited files (CSV, TSV, `;`): header, rows and their problems.

A row that cannot be used is a problem with the line it begins on, and the rows beside it are read.
`read_delimited` is for callers that want every row or none.
"""

import csv
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flywheel.errors import DataError, NotFoundError
from flywheel.io.packed_file import open_unpacked, suffix_of
from flywheel.io.spelling import show_invisible, trim

__all__ = [
    "SEPARATORS",
    "Table",
    "TableProblem",
    "TableRow",
    "read_delimited",
    "read_table",
    "read_text",
]

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_FIELD_BYTES = 16 * 2**20
_SHOWN = 20


@dataclass(frozen=True)
class TableRow:
    """One row; ``line`` is where it begins in the file, counted from 1, the header included."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class TableProblem:
    """Why the row that begins on ``line`` cannot be used."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@dataclass(frozen=True)
class Table:
    """A delimited file: its columns, its usable rows and what is wrong with the others."""

    columns: tuple[str, ...]
    separator: str
    rows: tuple[TableRow, ...]
    problems: tuple[TableProblem, ...]


def read_table(path: Path, required: Sequence[str], *, separator: str | None = None) -> Table:
    """Read a file with a header line; blank rows are skipped, names of columns are trimmed.

    Cells are as they were written. The separator is the one that yields all required columns:
    a tab first in a ``.tsv``, else a comma, ``;``, a tab, ``|``.

    Args:
        path: UTF-8, with or without byte-order mark, plain, ``.gz`` or ``.zst``.
        required: columns that every row must have.
        separator: one character, where it is not to be guessed.

    Raises:
        NotFoundError: there is no such file.
        DataError: a column is missing or there twice, or the file is not UTF-8 or cannot be read.
    """
    text = read_text(path)
    header_line, header, chosen = _header(path, text, required, separator)
    rows: list[TableRow] = []
    problems: list[TableProblem] = []
    for line, record in _records(text, chosen):
        if isinstance(record, TableProblem):
            problems.append(record)
            continue
        if line == header_line or not any(trim(cell) for cell in record):
            continue
        if len(record) < len(header) and any(header[len(record) :]):
            problems.append(TableProblem(line, f"cut short: {len(record)} cells of {len(header)}"))
        elif any(trim(cell) for cell in record[len(header) :]):
            problems.append(
                TableProblem(line, f"{len(record)} cells, the header has {len(header)}: quote them")
            )
        else:
            cells = {name: cell for name, cell in zip(header, record, strict=False) if name}
            rows.append(TableRow(line, cells))
    columns = tuple(name for name in header if name)
    return Table(columns, chosen, tuple(rows), tuple(problems))


def read_delimited(path: Path, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's line and its cells by column, or refuse the file with all its problems.

    Raises:
        NotFoundError: there is no such file.
        DataError: a column is missing or there twice, a row is broken, or the file is not UTF-8.
    """
    table = read_table(path, required)
    if table.problems:
        lines = [f"  {problem}" for problem in table.problems[:_SHOWN]]
        more = len(table.problems) - _SHOWN
        lines += [f"  and {more:,} more"] if more > 0 else []
        raise DataError(
            f"{path.name} has rows that are not valid:\n" + "\n".join(lines),
            next_step="correct the file",
        )
    for row in table.rows:
        yield row.line, row.cells


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, plain, gzip or zstandard, without byte-order mark.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is not UTF-8, or cannot be read: a folder, no permission, a broken packing.
    """
    try:
        with open_unpacked(path) as file:
            return file.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", next_step="check the path") from None
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", next_step="give a complete file that you may read"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path.name} is not UTF-8 (line {line}): {error.reason}",
            next_step="convert it, e.g. with iconv -f WINDOWS-1252 -t UTF-8",
        ) from error


def _header(
    path: Path, text: str, required: Sequence[str], separator: str | None
) -> tuple[int, list[str], str]:
    guesses = "\t,;|" if suffix_of(path) == ".tsv" else ",;\t|"
    columns: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for guess in [separator] if separator else guesses:
        lines[guess], columns[guess] = _first_record(text, guess)
    # Where none has all columns, the one that splits the header into most is what was meant.
    best = max(columns, key=lambda one: (set(required) <= set(columns[one]), len(columns[one])))
    header = columns[best]
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        places = ", ".join(
            f"{show_invisible(name)} (columns "
            f"{' and '.join(str(i) for i, one in enumerate(header, 1) if one == name)})"
            for name in twice
        )
        raise DataError(
            f"{path.name} has a column more than once: {places}.",
            next_step="rename or remove one of them",
        )
    missing = [name for name in required if name not in header]
    if missing:
        names = ", ".join(show_invisible(name) for name in header if name)
        raise DataError(
            f"{path.name} has no column {', '.join(map(repr, missing))}.",
            next_step=f"its columns are: {names}" if names else "it has no columns: it is empty",
        )
    return lines[best], header, best


def _first_record(text: str, separator: str) -> tuple[int, list[str]]:
    for line, record in _records(text, separator):
        if isinstance(record, TableProblem):
            return line, []
        names = [trim(name) for name in record]
        if any(names):
            return line, names
    return 1, []


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str] | TableProblem]]:
    # Yields the line on which a record begins, and its cells or what is wrong with it.
    with _large_fields():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, TableProblem(line, _explain(error))
            else:
                yield line, record


def _explain(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "not valid CSV: a quote that opens here is never closed"
    if "expected after" in str(error):
        return 'not valid CSV: a quote within a quoted cell must be doubled ("")'
    return f"not valid CSV: {error}"


@contextmanager
def _large_fields() -> Iterator[None]:
    before = csv.field_size_limit(_FIELD_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)
