"""`read_json_lines`: the objects of a file of ours with one JSON object a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from flywheel.errors import IntegrityError
from flywheel.io.records import JsonObject

__all__ = ["damaged_line", "read_json_lines"]


def read_json_lines(file: Path) -> Iterator[tuple[int, JsonObject]]:
    """Yield the number and the object of each line; nothing where there is no file.

    Raises:
        IntegrityError: a line is no JSON object, by a crash or an edit.
    """
    if not file.is_file():
        return
    content = file.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            raise damaged_line(file, number) from None
        if not isinstance(row, dict):
            raise damaged_line(file, number)
        yield number, row


def damaged_line(file: Path, number: int) -> IntegrityError:
    """Return the error of a line that cannot be read."""
    return IntegrityError(
        f"Line {number} of {file} is damaged.",
        next_step="take the file from a backup, or mend or remove that line",
    )
