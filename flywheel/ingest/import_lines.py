"""`read_lines`: the records of a log file, one by one, whatever they are packed in.

A file is JSON lines, one JSON array over one or many lines, or a page of an interface
(``{"data": [...]}``); plain, gzip or zstandard; UTF-8 with or without byte-order mark.
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
from flywheel.io.packed_file import open_unpacked

__all__ = ["FileLine", "parse_line", "read_lines"]

_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_WHOLE_BYTES = 2 * 2**30


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
    number = 0
    try:
        with open_unpacked(path) as file:
            for line in _lines(path, file):
                number = line.number
                yield line
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read after line {number:,}: {error}",
            next_step="get the whole file and import it again; what came before counts once",
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
            whole = parse_line(1, rest.removeprefix(_MARK).strip())
            if whole.problem is None:
                yield from _unfold(whole, numbered=True)
            else:
                yield from _one_by_one(number, rest)
            return
        first = False
        yield from _unfold(parse_line(number, content))


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
    # A line that is an array, or a page of an interface, holds many records.
    value = line.value
    items = value if isinstance(value, list) else None
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        pages = {"meta", "has_more", "next_page", "pagination"} & value.keys()
        items = value["data"] if pages or value.get("object") == "list" else None
    if line.problem is not None or not items:
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


def _written(item: Any) -> bytes:
    return json.dumps(item, ensure_ascii=False).encode("utf-8", "surrogatepass")
