"""`read_lines`: the records of a log file, one by one, whatever they are packed in.

A file is JSON lines, one JSON array over one or many lines, a page of an interface
(``{"data": [...]}``, Elasticsearch's ``hits``), a downloaded trace of Langfuse, or a table (CSV,
TSV) with a row for each record; plain, gzip or zstandard; UTF-8 with or without byte-order mark.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from flywheel.errors import DataError, EventError, NotFoundError
from flywheel.events.foreign import read_json
from flywheel.events.reasons import Reason
from flywheel.io.delimited_file import read_table
from flywheel.io.packed_file import open_unpacked, suffix_of

__all__ = ["FileLine", "parse_line", "read_lines"]

_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_WHOLE_BYTES = 2 * 2**30
_TABLES = {".csv", ".tsv"}
_PAGE = {"meta", "has_more", "next_page", "pagination", "total_pages", "page_size"}
_TRACE = {"scores", "trace"}


@dataclass(frozen=True)
class FileLine:
    """One record; ``number`` is its line, or its place in an array over several lines.

    ``content`` are its bytes; ``value`` its parsed JSON, where ``problem`` is None. ``exact`` says
    that ``content`` is what was parsed, ``dropped`` how many numbers were no JSON and became null.
    """

    number: int
    content: bytes
    value: Any = None
    problem: EventError | None = None
    dropped: int = 0
    exact: bool = True


def read_lines(path: Path) -> Iterator[FileLine]:
    """Yield the records of a file; blank lines are skipped.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is UTF-16, or broken off: what was read before has been yielded.
    """
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", next_step="check the path")
    if suffix_of(path) in _TABLES:
        yield from _rows(path)
        return
    number = 0
    try:
        with open_unpacked(path) as file:
            for line in _lines(path, file):
                number = line.number
                yield line
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read after line {number:,}: {error}",
            next_step="get the complete file and import it again; what came before counts once",
        ) from error


def _lines(path: Path, file: BinaryIO) -> Iterator[FileLine]:
    first = True
    for number, line in enumerate(file, 1):
        if first and line.startswith(_UTF16):
            raise DataError(
                f"{path.name} is UTF-16.", next_step="convert it: iconv -f UTF-16 -t UTF-8"
            )
        content = line.removeprefix(_MARK).strip()
        if not content:
            continue
        if first and content[:1] in (b"[", b"{"):
            first = False
            parsed = parse_line(number, content)
            if parsed.problem is None or not _goes_on(content):
                yield from _unfold(parsed)
                continue
            # It may be one value over many lines: only the whole can say.
            rest = line + file.read(_WHOLE_BYTES)
            document = parse_line(1, rest.removeprefix(_MARK).strip())
            if document.problem is None:
                yield from _unfold(document, numbered=True)
            else:
                yield from _one_by_one(number, rest)
            return
        first = False
        yield from _unfold(parse_line(number, content))


def _rows(path: Path) -> Iterator[FileLine]:
    # A cell that holds an object or a list is JSON, which the readers unpack; an empty one, or
    # ClickHouse's \\N, is nothing.
    table = read_table(path, ())
    lines = [
        FileLine(row.line, _written(record), record, exact=False)
        for row in table.rows
        if (record := {name: cell for name, cell in row.cells.items() if cell not in ("", "\\N")})
    ]
    lines += [
        FileLine(
            problem.line,
            f"{path.name} {problem}".encode(),
            problem=EventError(Reason.BAD_CSV, problem.message),
        )
        for problem in table.problems
    ]
    yield from sorted(lines, key=lambda line: line.number)


def _one_by_one(number: int, rest: bytes) -> Iterator[FileLine]:
    for place, line in enumerate(rest.split(b"\n"), number):
        content = line.removeprefix(_MARK).strip()
        if content:
            yield from _unfold(parse_line(place, content))


def _goes_on(content: bytes) -> bool:
    # A value over many lines breaks off after a bracket, a comma or a colon; a cut line elsewhere.
    return content[-1:] in b"[{,:"


def parse_line(number: int, content: bytes) -> FileLine:
    """Parse one line; what is not JSON in UTF-8 has its problem instead of a value."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        problem = EventError(Reason.BAD_UTF8, f"not UTF-8 at byte {error.start}")
        return FileLine(number, content, problem=problem)
    try:
        value, dropped = read_json(text)
    except EventError as error:
        return FileLine(number, content, problem=error)
    return FileLine(number, content, value, dropped=dropped, exact=not dropped)


def _unfold(line: FileLine, *, numbered: bool = False) -> Iterator[FileLine]:
    items = None if line.problem is not None else _items(line.value)
    if not items:
        yield line
        return
    for place, item in enumerate(items, 1):
        yield FileLine(
            place if numbered else line.number,
            _written(item),
            item,
            dropped=line.dropped if place == 1 else 0,
            exact=False,
        )


def _items(value: Any) -> list[Any] | None:
    # A line that is an array, a page of an interface or a whole trace holds many records.
    items = value if isinstance(value, list) else None
    if isinstance(value, dict):
        hits = value.get("hits")
        if isinstance(hits, dict):
            items = hits.get("hits")
        elif isinstance(value.get("_source"), dict):
            items = [value]
        elif _TRACE & value.keys() and "input" not in value:
            items = value.get("observations")
        elif _PAGE & value.keys() or value.get("object") == "list":
            items = value.get("data")
    return [_source(item) for item in items] if isinstance(items, list) else None


def _source(item: Any) -> Any:
    # Elasticsearch wraps each record; NVIDIA's flywheel keeps its records there.
    source = item.get("_source") if isinstance(item, dict) else None
    return source if isinstance(source, dict) else item


def _written(item: Any) -> bytes:
    return json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")
