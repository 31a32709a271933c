"""`LakeViews`: the tables and views of the lake as DuckDB sees them, at their newest version."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import PurePosixPath

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from flywheel.lake.arrow_results import read_arrow
from flywheel.lake.digests import data_files
from flywheel.lake.event_figures import EventFigures
from flywheel.lake.event_ids import Keys
from flywheel.lake.handles import TableHandle
from flywheel.lake.held_tables import CREATE_HELD, HeldTables
from flywheel.lake.later_events import CREATE_LATER_EVENTS, LaterEvents
from flywheel.lake.location import LakeLocation
from flywheel.lake.tables import TABLES
from flywheel.lake.views import (
    EXTRA_VIEWS,
    NO_DAY,
    may_leave_out_days,
    needed_tables,
    needs_later_events,
    reader_view,
    stored_view,
)

__all__ = ["LakeViews"]


class LakeViews:
    """One DuckDB in memory over the tables of a lake; its caller holds the lake's lock.

    Args:
        location: of the lake.
        handles: of every table, by name.
    """

    def __init__(self, location: LakeLocation, handles: Mapping[str, TableHandle]) -> None:
        self._location = location
        self._handles = handles
        self._later = LaterEvents(location.local, handles["inferences"])
        self._figures = EventFigures(location.local)
        self._counted_of: tuple[int, int] | None = None
        self._held = HeldTables()
        self._duck: duckdb.DuckDBPyConnection | None = None
        self._reader = ""
        # What each view was written for: the version of a stored table, whether anyone was erased.
        self._written: dict[str, object] = {}

    def cursor(
        self, words: Collection[str], event_days: Collection[date | None] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Return a cursor that sees the newest version of what a query over some words names.

        Args:
            words: of the query.
            event_days: days of the events that it asks for, None among them for events without a
                day; None: of any day.
        """
        connection = self._connection()
        self._refresh(connection, ["erasures"])
        erased = self._written["stored.erasures"] is not None
        if "event_figures" in words:
            self._refresh_figures(connection, erased=erased)
        # Erasures are read once, so that all views of the query agree on whether there are any.
        tables = set(needed_tables(words, anyone_erased=erased)) - {"erasures"}
        if event_days is None or not may_leave_out_days(words, anyone_erased=erased):
            self._refresh(connection, sorted(tables))
            if needs_later_events(words):
                self._refresh_later(connection)
            return connection.cursor()
        self._refresh(connection, sorted(tables - {"inferences"}))
        # Files and positions of one snapshot: a repeat that lands meanwhile is in neither.
        delta = self._handles["inferences"].refresh()
        if delta is not None and needs_later_events(words):
            self._later.refresh(connection, delta)
        cursor = connection.cursor()
        uris, columns = _contents(delta)
        folders = {_folder_of(day) for day in event_days}
        files = [uri for uri in uris if PurePosixPath(uri).parent.name in folders]
        _show_files(cursor, files, columns, words, erased=erased)
        return cursor

    def file_cursor(
        self, words: Collection[str], views: Mapping[str, Sequence[str]]
    ) -> duckdb.DuckDBPyConnection:
        """Return a cursor with views over some data files of the events, as they are stored.

        Args:
            words: of the query, which may name other tables too.
            views: paths below the table's folder, by the name of the view.
        """
        handle = self._handles["inferences"]
        connection = self._connection()
        self._refresh(connection, ["erasures"])
        self._refresh(connection, sorted(set(words) & set(TABLES) - {"inferences"}))
        self._refresh_later(connection)
        cursor = connection.cursor()
        _, columns = _contents(handle.refresh())
        for name, files in views.items():
            uris = [str(handle.folder / path) for path in sorted(files)]
            rows = stored_view(handle.table, uris, columns, with_file=True)
            cursor.execute(f"CREATE TEMP VIEW {name} AS {rows}")
        return cursor

    def folders_of(self, keys: Keys) -> set[str]:
        """Name the partition folders that hold events whose ids have these hashes."""
        self._refresh_later(self._connection())
        return self._later.folders_with(keys)

    def folders_with(self, workload_id: str, ids: Sequence[str]) -> set[str]:
        """Name the partition folders that hold events with these ids, and perhaps a few more."""
        connection = self._connection()
        self._refresh_later(connection)
        sql = "SELECT hash($workload, id) AS id FROM (SELECT unnest($ids::VARCHAR[]) AS id)"
        rows = read_arrow(connection, sql, {"workload": workload_id, "ids": list(ids)})
        return self._later.folders_with(rows["id"].to_numpy())

    @property
    def reader(self) -> str:
        """What reads the files: ``disk``, ``httpfs`` or ``fsspec``."""
        self._connection()
        return self._reader

    def close(self) -> None:
        """Release DuckDB; the next cursor opens it again."""
        if self._duck is not None:
            _close(self._duck)
            self._duck = None
        self._later.forget()
        self._figures.forget()
        self._held.forget()
        self._written.clear()

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._duck is None:
            self._duck = _open()
            self._reader = self._location.prepare(self._duck)
            self._duck.execute("CREATE SCHEMA stored")
            self._duck.execute(CREATE_HELD)
            self._duck.execute(CREATE_LATER_EVENTS)
        return self._duck

    def _refresh(self, connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> None:
        # A view is written again only when its table has a new version, or when the first erasure
        # arrives. The stored ones come first, since readers' views reach into several of them.
        for name in tables:
            delta = self._handles[name].refresh()
            key = self._handles[name].snapshot_key
            if self._written.get(f"stored.{name}", -1) != key:
                sql = stored_view(TABLES[name], *_contents(delta))
                connection.execute(f"CREATE OR REPLACE VIEW stored.{name} AS {sql}")
                self._held.release(connection, name)
                self._written[f"stored.{name}"] = key
            elif delta is not None and not TABLES[name].distinct:  # whole requests stay on disk
                self._held.hold(connection, name, delta)
        erased = self._written["stored.erasures"] is not None
        for name in tables:
            if self._written.get(name) != erased:
                sql = reader_view(TABLES[name], anyone_erased=erased)
                connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")
                self._written[name] = erased
        for name, (sources, sql) in EXTRA_VIEWS.items():
            if name not in self._written and set(sources) <= set(tables):
                connection.execute(f"CREATE VIEW {name} AS {sql}")
                self._written[name] = True

    def _refresh_later(self, connection: duckdb.DuckDBPyConnection) -> DeltaTable | None:
        delta = self._handles["inferences"].refresh()
        if delta is not None:
            self._later.refresh(connection, delta)
        return delta

    def _refresh_figures(self, connection: duckdb.DuckDBPyConnection, *, erased: bool) -> None:
        delta = self._refresh_later(connection)
        key = self._handles["inferences"].snapshot_key
        if key is not None and self._counted_of is not None and key[1] != self._counted_of[1]:
            self._figures.forget()  # of the events before a backup was restored
        self._counted_of = key

        def count(sql: str, files: Sequence[str]) -> pa.Table:
            with connection.cursor() as cursor:
                _, columns = _contents(delta)
                _show_files(cursor, sorted(files), columns, {"all_inferences"}, erased=erased)
                return read_arrow(cursor, sql)

        self._figures.refresh(connection, delta, count)


def _open() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"allow_unredacted_secrets": "false"})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    # A Delta file never changes under its name, so that its footer is read once.
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    return connection


def _close(connection: duckdb.DuckDBPyConnection) -> None:
    connection.close()


def _show_files(
    cursor: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    columns: Sequence[str],
    words: Collection[str],
    *,
    erased: bool,
) -> None:
    # Temporary views are the cursor's own, and come before the shared ones. DuckDB reads the
    # footer of every file that a view names when the view is made.
    table = TABLES["inferences"]
    rows = stored_view(table, files, columns)
    sql = reader_view(table, anyone_erased=erased, rows=rows)
    cursor.execute(f"CREATE TEMP VIEW inferences AS {sql}")
    for name, (sources, sql) in EXTRA_VIEWS.items():
        if name in words and sources == ("inferences",):
            cursor.execute(f"CREATE TEMP VIEW {name} AS {sql}")


def _folder_of(day: date | None) -> str:
    return f"day={NO_DAY if day is None else day.isoformat()}"


def _contents(delta: DeltaTable | None) -> tuple[list[str], list[str]]:
    # Data files and columns of a snapshot.
    if delta is None:
        return [], []
    return sorted(data_files(delta)), [field.name for field in delta.schema().fields]
