"""`LakeEngine`: the port of what reads and keeps a lake that has outgrown one process.

`DuckDbEngine` is the default, `SparkEngine` reads the same tables on a cluster. Every query of the
lake is written once, in DuckDB's SQL; the contract suite holds both engines to the same rows.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, Protocol

import pyarrow as pa
from deltalake import DeltaTable

from flywheel.lake.handles import TableHandle
from flywheel.lake.location import LakeLocation

__all__ = ["LakeEngine", "OpenEngine", "Parameters"]

Parameters = Sequence[Any] | Mapping[str, Any] | None


class LakeEngine(Protocol):
    """Heavy reads and upkeep of a lake's tables."""

    def query(self, sql: str, params: Parameters, event_days: Collection[date] | None) -> pa.Table:
        """Run SQL over the newest state of the tables it names; times come back in UTC.

        `Lake.scan` calls it. A failure reaches the caller: no other engine is asked instead.
        """

    def folders_with(self, workload_id: str, ids: Sequence[str]) -> set[str]:
        """Name the partition folders that hold events with these ids, and perhaps a few more.

        `Lake.event_days` calls it under the lake's lock, for `query`'s ``event_days``.
        """

    def compact(self, delta: DeltaTable, days: Sequence[date] | None) -> None:
        """Write the rows of days (None: of a table without days) into fewer files, in one commit.

        `compaction` calls it with the rewriting lock, on files that it compared with their digests.
        Afterwards ``delta`` is at the newest version. A lost race is a ConcurrencyError.
        """

    def vacuum(self, delta: DeltaTable, retention_hours: int) -> int:
        """Delete files that no version of the last hours needs, and return how many there were.

        `maintain` calls it once a round. Afterwards ``delta`` is at the newest version.
        """

    def close(self) -> None:
        """Let go of what is open; the next query opens it again."""


OpenEngine = Callable[[LakeLocation, Mapping[str, TableHandle], threading.RLock], LakeEngine]
"""Makes the engine of a lake from its location, its tables and the lock that handles need."""
