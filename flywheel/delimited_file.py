"""Read a CSV or TSV with a header line: quoted line breaks, byte-order marks, clear refusals."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from flywheel.errors import DataError, NotFoundError

__all__ = ["read_delimited"]

_FIELD_BYTES = 16 * 2**20


def read_delimited(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's number, from 1, and its cells by column.

    Args:
        path: UTF-8, with or without byte-order mark; a name ending in ``.tsv`` is split at tabs.
        wanted: columns that every row must have.

    Raises:
        NotFoundError: there is no such file.
        DataError: a column is missing, a row is cut short, or the file is not UTF-8 or not CSV.
    """
    csv.field_size_limit(_FIELD_BYTES)
    dialect = "excel-tab" if path.suffix == ".tsv" else "excel"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, dialect=dialect, strict=True)
            missing = [name for name in wanted if name not in (reader.fieldnames or [])]
            if missing:
                raise DataError(
                    f"{path.name} has no column {', '.join(missing)}.",
                    next_step=f"its columns are: {', '.join(reader.fieldnames or [])}",
                )
            for number, row in enumerate(reader, 1):
                if any(row[name] is None for name in wanted):
                    raise DataError(
                        f"Row {number} of {path.name} is cut short (line {reader.line_num}).",
                        next_step="correct the file",
                    )
                yield number, row
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", next_step="check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not UTF-8: {error}", next_step="convert it, e.g. with iconv"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path.name} is not valid CSV: {error}") from error
