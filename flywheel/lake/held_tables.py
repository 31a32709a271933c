"""`HeldTables`: small tables that DuckDB holds in memory while their snapshot stays the same.

A query over many small files opens every one of them, which costs more than all else that it does.
From the second query at one snapshot on, a table whose files are small together is read once and
held. A new one, from this process, another one or a restored backup, is read from its files again.
"""

from contextlib import suppress

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

__all__ = ["CREATE_HELD", "HeldTables"]

CREATE_HELD = "CREATE SCHEMA held"
# Bytes of all files: a few tens of megabytes in memory.
_MOST_BYTES = 2 << 20


class HeldTables:
    """What one DuckDB holds of the views ``stored.<table>``; its caller holds the lake's lock."""

    def __init__(self) -> None:
        self._asked_again: set[str] = set()
        self._held: set[str] = set()

    def forget(self) -> None:
        """Drop what is noted: DuckDB was closed."""
        self._asked_again.clear()
        self._held.clear()

    def hold(self, connection: duckdb.DuckDBPyConnection, name: str, delta: DeltaTable) -> None:
        """Hold a table that is asked for again at the same snapshot, if it is small."""
        if name in self._asked_again:
            return
        self._asked_again.add(name)
        if _bytes(delta) > _MOST_BYTES:
            return
        # A file that cannot be read fails the queries that need it, with their own error.
        with suppress(duckdb.Error):
            connection.execute(f"CREATE TABLE held.{name} AS FROM stored.{name}")
            connection.execute(f"CREATE OR REPLACE VIEW stored.{name} AS FROM held.{name}")
            self._held.add(name)

    def release(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Let go of a table that has a new snapshot; its view reads files again."""
        self._asked_again.discard(name)
        if name in self._held:
            self._held.remove(name)
            connection.execute(f"DROP TABLE held.{name}")


def _bytes(delta: DeltaTable) -> int:
    sizes = pa.table(delta.get_add_actions())["size_bytes"]
    return int(pc.sum(sizes).as_py() or 0)
