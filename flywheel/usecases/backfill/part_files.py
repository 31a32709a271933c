"""`PartFiles`: parts and their results as folders of a run in the exchange.

A part's name holds a digest of its ids, and a folder is there as a whole or not at all: what an
interrupted run left is good, and a result that is not of its part is refused. Rows are lines of JSON,
in which an erasure finds a person's texts.
"""

import json
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from flywheel.errors import IntegrityError
from flywheel.io.atomic import write_bytes
from flywheel.ports.bulk_work import Kind, PartName, TextPart, digest_of_ids
from flywheel.train.launch.exchange import Exchange
from flywheel.usecases.backfill.computing import PART, RESULTS

__all__ = ["PartFiles", "decode_rows", "encode_rows"]

_FILE = "rows.jsonl"
_MICROSECONDS = pa.int64()


class PartFiles:
    """Parts below ``parts`` and results below ``results`` of a run's folder."""

    def __init__(self, exchange: Exchange, run: str, kind: Kind) -> None:
        self._exchange, self._kind = exchange, kind
        self._parts, self._results = f"{run}/parts", f"{run}/results"
        self._taken: set[str] = set()

    def put_part(self, part: TextPart) -> str:
        """Put a part into the exchange where it is not there yet, and return its name."""
        path = f"{self._parts}/{part.file_name}"
        if not self._exchange.has_folder(path):
            self._put(part.rows, path)
        return part.file_name

    def without_result(self, names: Sequence[str]) -> list[str]:
        """Return those of these parts that have no result yet."""
        done = set(self._exchange.names(self._results))
        return [one for one in names if one not in done or not self._has_result(one)]

    def read_part(self, name: str) -> TextPart:
        """Read a part.

        Raises:
            IntegrityError: it is not the one that was put; it is removed, to be put again.
        """
        return TextPart(_name_of(name), self._get(f"{self._parts}/{name}", name, PART))

    def put_result(self, name: str, rows: pa.Table) -> None:
        """Put the result of a part into the exchange."""
        self._put(rows, f"{self._results}/{name}")

    def new_results(self) -> list[str]:
        """Name the results that were not taken yet."""
        names = self._exchange.names(self._results)
        return [one for one in names if one not in self._taken and self._has_result(one)]

    def take_result(self, name: str) -> tuple[PartName, pa.Table]:
        """Read a result.

        Raises:
            IntegrityError: it is not of the texts of its part; it is removed, to be made again.
        """
        rows = self._get(f"{self._results}/{name}", name, RESULTS[self._kind])
        self._taken.add(name)
        return _name_of(name), rows

    def _has_result(self, name: str) -> bool:
        return self._exchange.has_folder(f"{self._results}/{name}")

    def _put(self, rows: pa.Table, path: str) -> None:
        with tempfile.TemporaryDirectory(prefix="flywheel-part-") as work:
            write_bytes(Path(work) / _FILE, encode_rows(rows), durable=False)
            self._exchange.put_folder(Path(work), path)

    def _get(self, path: str, name: str, schema: pa.Schema) -> pa.Table:
        try:
            return self._read(path, name, schema)
        except IntegrityError:
            self._exchange.remove(path)
            raise

    def _read(self, path: str, name: str, schema: pa.Schema) -> pa.Table:
        with tempfile.TemporaryDirectory(prefix="flywheel-part-") as work:
            folder = Path(work) / "part"
            self._exchange.get_folder(path, folder)
            rows = decode_rows((folder / _FILE).read_bytes(), schema)
        if digest_of_ids(rows) != name.rpartition(".")[2]:
            raise IntegrityError(
                f"{path} in {self._exchange.url} is not of the texts of its part.",
                next_step="run the same version of Flywheel on the workers, and run it again",
            )
        return rows


def encode_rows(rows: pa.Table) -> bytes:
    """Write rows as lines of JSON, times as microseconds since 1970."""
    plain = rows.cast(_plain(rows.schema)).to_pylist()
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in plain)


def decode_rows(content: bytes, schema: pa.Schema) -> pa.Table:
    """Read the rows that `encode_rows` wrote.

    Raises:
        IntegrityError: they do not have these columns.
    """
    try:
        rows = [json.loads(line) for line in content.splitlines()]
        return pa.Table.from_pylist(rows, schema=_plain(schema)).cast(schema)
    except (ValueError, TypeError, AttributeError, pa.ArrowInvalid) as error:
        raise IntegrityError(
            f"Rows of a backfill cannot be read: {error}",
            next_step="run the same version of Flywheel on the workers, and run it again",
        ) from error


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema(
        (field.name, _MICROSECONDS if pa.types.is_timestamp(field.type) else field.type)
        for field in schema
    )


def _name_of(name: str) -> PartName:
    day, part, _ = name.split(".")
    number, _, count = part.split("-")
    return PartName(date.fromisoformat(day), int(number), int(count))
