"""`KeptRows`: rows worked out of judgments, each kept by the fingerprint of what it was made of."""

from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flywheel.lake.store import Lake
from flywheel.review.merging.batch_figures import review_file
from flywheel.review.merging.judgment_prints import HASHES_OF
from flywheel.workload.model import Workload

__all__ = ["KeptRows"]

_BASIS = b"flywheel"


class KeptRows:
    """The rows of one kind for one workload, in a file beside the lake.

    A row holds for as long as its fingerprint is among those of the present rows, so that a restored
    backup, an erasure or a lost file needs no code of its own.

    Args:
        lake: beside which the file is kept.
        workload: another revision of it has every row made again.
        name: what the rows are, a name for a file; changes with their meaning.
        columns: of a row besides ``fingerprint``; no text of a person, but digests may be.
    """

    def __init__(
        self, lake: Lake, workload: Workload, name: str, columns: Mapping[str, pa.DataType]
    ) -> None:
        self._schema = pa.schema([("fingerprint", pa.uint64()), *columns.items()])
        self._file = review_file(lake, f"{name}_{workload.id}.parquet")
        self._basis = f"{HASHES_OF}, {workload.revision}".encode()
        self._rows = self._schema.empty_table()

    def read(self, present: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Compare what is kept with what there is.

        Args:
            present: one row, with a ``fingerprint``, for everything that a row can be made of.

        Returns:
            The kept rows that still hold, and the rows of ``present`` that have none.
        """
        self._rows = self._file.read(self._parse) or self._schema.empty_table()
        holds = pc.is_in(self._rows["fingerprint"], _values(present))
        is_kept = pc.is_in(present["fingerprint"], _values(self._rows))
        return self._rows.filter(holds), present.filter(pc.invert(is_kept))

    def write(self, kept: pa.Table, made: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Keep the rows that still hold and those that were made, and return them all."""
        rows = pa.concat_tables([kept, pa.Table.from_pylist(list(made), schema=self._schema)])
        if made or kept.num_rows != self._rows.num_rows:
            self._rows = rows
            self._file.write(self._dump)
        return rows

    def _parse(self, content: bytes) -> pa.Table | None:
        rows = pq.read_table(pa.BufferReader(content))
        if rows.schema.metadata[_BASIS] != self._basis:
            return None
        return rows.select(self._schema.names).cast(self._schema)

    def _dump(self, file: BinaryIO) -> None:
        rows = self._rows.replace_schema_metadata({_BASIS: self._basis})
        pq.write_table(rows, file, compression="zstd")


def _values(rows: pa.Table) -> pa.Array:
    return rows["fingerprint"].combine_chunks()
