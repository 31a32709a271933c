"""`SparkEngine`: heavy reads and upkeep of the lake on a Spark Connect server.

It reads and writes the Delta tables that delta-rs appends to. Every query runs at versions that this
process read from Delta's log, so that it sees what `Lake.query` would see at that moment.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import pyarrow as pa
from deltalake import DeltaTable

from flywheel.errors import ConfigurationError, DataError
from flywheel.lake.duckdb_engine import words_of
from flywheel.lake.engine import OpenEngine, Parameters
from flywheel.lake.handles import TableHandle
from flywheel.lake.location import LakeLocation
from flywheel.lake.spark.session import SessionEndedError, SparkServer, SparkSession
from flywheel.lake.spark.statement import LATER_EVENTS_QUERY, TableVersion, statement
from flywheel.lake.views import needed_tables, needs_later_events

__all__ = ["SparkEngine"]

_FOLDERS = """
SELECT DISTINCT day FROM stored.inferences
WHERE workload_id = $workload AND inference_id IN (SELECT unnest($ids::VARCHAR[]))
"""
_NEWEST = 10
Result = TypeVar("Result")


class SparkEngine:
    """The engine of a lake that has outgrown one machine.

    Args:
        location: of the lake; Spark must see it under the same path.
        handles: of every table, by name.
        lock: that every use of a handle needs.
        server: where Spark is.
    """

    def __init__(
        self,
        location: LakeLocation,
        handles: Mapping[str, TableHandle],
        lock: threading.RLock,
        server: SparkServer,
    ) -> None:
        if location.is_remote:
            raise ConfigurationError(
                "Spark reads a lake in a folder only, and FLYWHEEL_LAKE is the URL of an object store.",
                next_step="set FLYWHEEL_LAKE_ENGINE=duckdb, or keep the lake in a folder that the "
                "machines of Spark share",
            )
        self._handles = handles
        self._lock = lock
        self._session = SparkSession(server)
        # The table of positions of repeated ids: its name, the version of the events that it is of,
        # and the session that keeps it.
        self._later: tuple[str, object, int] | None = None

    @classmethod
    def at(cls, server: SparkServer) -> OpenEngine:
        """Return what opens an engine on a server."""
        return lambda location, handles, lock: cls(location, handles, lock, server)

    def query(self, sql: str, params: Parameters, event_days: Collection[date] | None) -> pa.Table:
        """Run SQL over the newest state of the tables it names."""
        if params is not None and not isinstance(params, Mapping):
            raise DataError(
                "A query for Spark has parameters without names.", next_step="name them: $name"
            )
        values = params or {}
        return self._in_session(lambda: self._query(sql, values, event_days))

    def folders_with(self, workload_id: str, ids: Sequence[str]) -> set[str]:
        """Name the partition folders that hold events with these ids, by a look at the ids."""
        values = {"workload": workload_id, "ids": list(ids)}
        days = self.query(_FOLDERS, values, None)["day"].to_pylist()
        return {f"workload_id={workload_id}/day={day}" for day in days if day is not None}

    def compact(self, delta: DeltaTable, days: Sequence[date] | None) -> None:
        """Compact by Spark's OPTIMIZE."""
        where = ""
        if days is not None:
            listed = ", ".join(f"'{day.isoformat()}'" for day in days)
            where = f" WHERE day IN ({listed})"
        self._in_session(lambda: self._session.command(f"OPTIMIZE {_folder(delta)}{where}"))
        delta.update_incremental()

    def vacuum(self, delta: DeltaTable, retention_hours: int) -> int:
        """Delete by Spark's VACUUM, which also finds files that no log names."""
        before = delta.version()
        vacuum = f"VACUUM {_folder(delta)} RETAIN {retention_hours} HOURS"
        self._in_session(lambda: self._session.command(vacuum))
        delta.update_incremental()
        for commit in delta.history(_NEWEST):
            if commit["version"] > before and commit["operation"] == "VACUUM END":
                return int(commit["operationMetrics"]["numDeletedFiles"])
        return 0

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _in_session(self, run: Callable[[], Result]) -> Result:
        # Every statement may run twice: a query reads, and upkeep that is done finds nothing to do.
        try:
            return run()
        except SessionEndedError:
            return run()

    def _query(
        self, sql: str, params: Mapping[str, Any], event_days: Collection[date] | None
    ) -> pa.Table:
        words = words_of(sql)
        with self._lock:
            tables = self._versions(words)
            later = self._later_events(tables) if needs_later_events(words) else None
        written = statement(sql, params, tables, later_events=later, event_days=event_days)
        return self._session.run(written)

    def _versions(self, words: Collection[str]) -> dict[str, TableVersion | None]:
        erased = self._handles["erasures"].refresh() is not None
        return {
            name: _version(self._handles[name])
            for name in needed_tables(words, anyone_erased=erased)
        }

    def _later_events(self, tables: Mapping[str, TableVersion | None]) -> str:
        # Once for a version of the events, however many queries read them.
        events = tables["inferences"]
        version = -1 if events is None else events.version
        session = self._session.number
        snapshot = self._handles["inferences"].snapshot_key
        if self._later is not None and self._later[1:] == (snapshot, session):
            return self._later[0]
        if self._later is not None and self._later[2] == session:
            self._forget(self._later[0])
        name = f"later_events_{version + 1}"
        written = statement(LATER_EVENTS_QUERY, {}, tables)
        self._forget(name)  # of a table that was restored, or of an attempt that failed
        self._session.command(
            f"CACHE TABLE {name} OPTIONS ('storageLevel' 'MEMORY_AND_DISK') AS {written}"
        )
        self._later = name, snapshot, self._session.number
        return name

    def _forget(self, name: str) -> None:
        self._session.command(f"UNCACHE TABLE IF EXISTS {name}")
        self._session.command(f"DROP VIEW IF EXISTS {name}")


def _version(handle: TableHandle) -> TableVersion | None:
    delta = handle.refresh()
    if delta is None:
        return None
    columns = tuple(column.name for column in delta.schema().fields)
    return TableVersion(handle.folder, int(delta.version()), columns)


def _folder(delta: DeltaTable) -> str:
    path = delta.table_uri.removeprefix("file://").rstrip("/").replace("`", "``")
    return f"delta.`{path}`"
