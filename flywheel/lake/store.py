"""`Lake`: exactly-once appends, atomic replacement and SQL queries over the Delta tables.

A transaction of the table says up to which offset a source was taken in; it is committed together
with the rows, through the handle that read it, so that of two racing writers one always loses.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from flywheel.errors import ConcurrencyError, DataError, StorageError
from flywheel.lake.digests import FileDigests
from flywheel.lake.handles import TableHandle
from flywheel.lake.meanings import TABLE_MEANINGS, column_meaning
from flywheel.lake.query_errors import no_table, query_error, require_queries, view_names
from flywheel.lake.rows import conform, equality, require_equal
from flywheel.lake.tables import TABLES
from flywheel.lake.views import EXTRA_VIEWS, needed_tables, reader_view, stored_view

__all__ = ["Lake", "holes_id", "source_id"]

_ATTEMPTS = 8
Result = TypeVar("Result")
_WORD = re.compile(r"\w+")


def source_id(topic_id: str, partition: int) -> str:
    """Name the Delta application whose transactions hold a partition's position."""
    return f"{topic_id}:{partition}"


def holes_id(topic_id: str, partition: int) -> str:
    """Name the application that counts a partition's offsets which hold no record by nature."""
    return f"{topic_id}:{partition}:holes"


class Lake:
    """All Delta tables under one folder; safe for several threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._lock = threading.RLock()
        self.digests = FileDigests(self.root)
        self._handles = {
            name: TableHandle(table, self.root / name, self.digests)
            for name, table in TABLES.items()
        }
        self._duck: duckdb.DuckDBPyConnection | None = None
        self._shown: dict[str, object] = {}

    # -- writing ---------------------------------------------------------------------------

    def append(self, table: str, rows: pa.Table, *, once: tuple[str, int] | None = None) -> bool:
        """Commit rows; with ``once`` only if that application has not come so far yet.

        Args:
            table: name of a lake table.
            rows: its columns, in any order; a missing one becomes null.
            once: application id and version, committed together with the rows.

        Returns:
            False when ``once`` or a later version is already there; nothing is written then.

        Raises:
            ConcurrencyError: another process wrote the same application's rows first.
        """
        handle = self._handle(table)
        ready = conform(handle.table, rows)
        with self._lock:
            delta = handle.ready()
            if once is not None:
                done = delta.transaction_version(once[0])
                if done is not None and done >= once[1]:
                    return False
            handle.append(ready, [once] if once else [])
        return True

    def land(
        self,
        table: str,
        rows: pa.Table,
        *,
        moves: Mapping[tuple[str, int], tuple[int, int]],
        holes: Mapping[tuple[str, int], int] = MappingProxyType({}),
    ) -> None:
        """Commit rows and move the positions of their sources, all in one commit.

        The positions move also when there are no rows.

        Args:
            table: name of a lake table.
            rows: the valid rows among the offsets that were read.
            moves: per topic id and partition, the position read from and the next to read.
            holes: how many offsets in between hold no record, where there are such.

        Raises:
            ConcurrencyError: a position is not (any more) where it was read from; nothing is
                written, and ``facts["positions"]`` tells where they are.
        """
        handle = self._handle(table)
        ready = conform(handle.table, rows)
        with self._lock:
            delta = handle.ready()
            at = {source: delta.transaction_version(source_id(*source)) or 0 for source in moves}
            moved = {
                source: at[source] for source, (start, _) in moves.items() if at[source] != start
            }
            if moved:
                raise ConcurrencyError(
                    f"Another process moved the position of {table} meanwhile.",
                    next_step="read the position again and retry",
                    positions=moved,
                )
            marks = [(source_id(*source), end) for source, (_, end) in moves.items()]
            for source, count in holes.items():
                before = delta.transaction_version(holes_id(*source)) or 0
                marks.append((holes_id(*source), before + count))
            handle.append(ready, marks)

    def append_computed(
        self, table: str, application: str, make_rows: Callable[[], pa.Table]
    ) -> int:
        """Commit rows that were computed from the table itself, and return how many.

        ``make_rows`` may query the lake once; of two processes that do so under one application
        id at the same time, one gets a ConcurrencyError.
        """
        handle = self._handle(table)
        with self._lock:
            handle.ready()
            rows = conform(handle.table, make_rows())
            if rows.num_rows:
                version = handle.present().transaction_version(application) or 0
                handle.append(rows, [(application, version + 1)])
        return int(rows.num_rows)

    def replace(self, table: str, rows: pa.Table, *, where: Mapping[str, object]) -> None:
        """Put rows in place of those equal to ``where``, in one commit.

        Every row must itself be equal to ``where``; repeating it changes nothing. A lost race is
        tried again, since the outcome is the same.
        """
        handle = self._handle(table)
        ready = conform(handle.table, rows)
        require_equal(handle.table, ready, where)
        predicate = equality(handle.table, where)

        def write() -> None:
            with handle.rewriting():
                handle.ready()
                handle.overwrite(ready, predicate)

        self.retry(write)

    def retry(self, action: Callable[[], Result]) -> Result:
        """Run an action that may be repeated until no other writer comes between."""
        for _ in range(_ATTEMPTS - 1):
            with suppress(ConcurrencyError), self._lock:
                return action()
        with self._lock:
            return action()

    # -- reading ---------------------------------------------------------------------------

    def position(self, table: str, topic_id: str, partition: int) -> int | None:
        """Return the next offset to read of a source partition, None before the first."""
        return self.transaction(table, source_id(topic_id, partition))

    def transaction(self, table: str, application: str) -> int | None:
        """Return the last version that an application committed to a table."""
        with self._lock:
            delta = self._handle(table).refresh()
            version = delta.transaction_version(application) if delta is not None else None
        return None if version is None else int(version)

    def query(self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> pa.Table:
        """Run SQL over the newest state of the tables it names; times come back in UTC.

        The result is an Arrow table: ``to_pandas()`` and ``to_pylist()`` turn it into others.

        Args:
            sql: DuckDB's SQL; `tables` lists what it may read.
            params: values for ``?`` or ``$name``.

        Raises:
            DataError: the query is wrong; the error lists the tables or columns there are.
        """
        words = set(_WORD.findall(sql.lower()))
        with self._lock:
            connection = self._connection()
            self._show(connection, needed_tables(words))
            cursor = connection.cursor()
        try:
            require_queries(cursor.extract_statements(sql))
            return cursor.sql(sql, params=params).to_arrow_table()
        except duckdb.IOException as error:
            raise StorageError(
                f"The lake could not be read: {error}",
                next_step="run it again; if it fails again, check the disk",
            ) from error
        except duckdb.Error as error:
            raise query_error(error, words) from error
        finally:
            cursor.close()

    def rows(
        self, sql: str, params: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run SQL and return one dict per row."""
        return list(self.query(sql, params).to_pylist())

    def tables(self) -> pa.Table:
        """List the tables and views: ``name``, ``kind``, ``rows`` and ``meaning``.

        Rows of erased persons are not counted; those of a view are not counted at all, since some
        views read the whole history.
        """
        counts = " UNION ALL ".join(
            f"SELECT '{name}' AS name, count(*) AS rows FROM {name}"  # noqa: S608 - declared names
            for name in TABLES
        )
        rows = {row["name"]: row["rows"] for row in self.rows(counts)}
        return pa.table(
            {
                "name": view_names(),
                "kind": ["table" if name in TABLES else "view" for name in view_names()],
                "rows": pa.array([rows.get(name) for name in view_names()], pa.int64()),
                "meaning": [TABLE_MEANINGS[name] for name in view_names()],
            }
        )

    def describe(self, name: str) -> pa.Table:
        """Describe a table or view: ``column``, ``type`` (of DuckDB) and ``meaning`` of each column.

        Raises:
            DataError: there is no such table or view.
        """
        if name not in view_names():
            raise no_table(name)
        columns = self.rows(f"DESCRIBE {name}")
        names = [row["column_name"] for row in columns]
        return pa.table(
            {
                "column": names,
                "type": [row["column_type"] for row in columns],
                "meaning": [column_meaning(name, column) for column in names],
            }
        )

    def handle(self, table: str) -> TableHandle:
        """Return a table's handle for maintenance; hold `lock` while using it."""
        return self._handle(table)

    @property
    def lock(self) -> threading.RLock:
        """Lock that every use of a handle needs."""
        return self._lock

    def close(self) -> None:
        """Release DuckDB and the open tables."""
        with self._lock:
            if self._duck is not None:
                self._duck.close()
                self._duck = None
            self._shown.clear()
            self.digests.close()
            for handle in self._handles.values():
                handle.forget()

    def _handle(self, table: str) -> TableHandle:
        try:
            return self._handles[table]
        except KeyError:
            raise DataError(
                f"There is no lake table {table!r}.",
                next_step=f"use one of {', '.join(TABLES)}",
            ) from None

    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._duck is None:
            self._duck = duckdb.connect(":memory:")
            self._duck.execute("SET GLOBAL TimeZone = 'UTC'")
            # A Delta file never changes under its name, so that its footer is read once.
            self._duck.execute("SET GLOBAL parquet_metadata_cache = true")
            self._duck.execute("CREATE SCHEMA stored")
        return self._duck

    def _show(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> None:
        # A view is written again only when its table has a new version, or when the first erasure
        # arrives. The stored ones come first, since readers' views reach into several of them.
        for name in tables:
            delta = self._handles[name].refresh()
            version = None if delta is None else delta.version()
            if self._shown.get(f"stored.{name}", -1) != version:
                files = [] if delta is None else sorted(delta.file_uris())
                written = [] if delta is None else [field.name for field in delta.schema().fields]
                sql = stored_view(TABLES[name], files, written)
                connection.execute(f"CREATE OR REPLACE VIEW stored.{name} AS {sql}")
                self._shown[f"stored.{name}"] = version
        erased = self._shown["stored.erasures"] is not None
        for name in tables:
            if self._shown.get(name) != erased:
                sql = reader_view(TABLES[name], anyone_erased=erased)
                connection.execute(f"CREATE OR REPLACE VIEW {name} AS {sql}")
                self._shown[name] = erased
        for name, (sources, sql) in EXTRA_VIEWS.items():
            if name not in self._shown and set(sources) <= set(tables):
                connection.execute(f"CREATE VIEW {name} AS {sql}")
                self._shown[name] = True
