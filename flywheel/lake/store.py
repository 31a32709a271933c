"""`Lake`: exactly-once appends, atomic replacement and SQL queries over the Delta tables.

A transaction of the table says up to which offset a source was taken in; it is committed together
with the rows, through the handle that read it, so that of two racing writers one always loses.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import pyarrow as pa

from flywheel.errors import ConcurrencyError, DataError
from flywheel.io.records import Row
from flywheel.io.retry import CONTENTION, retried
from flywheel.lake import catalog
from flywheel.lake.duckdb_engine import DuckDbEngine
from flywheel.lake.engine import LakeEngine, OpenEngine, Parameters
from flywheel.lake.event_days import days_of_files
from flywheel.lake.event_ids import Keys
from flywheel.lake.handles import TableHandle
from flywheel.lake.location import LakeLocation
from flywheel.lake.object_digests import open_digests
from flywheel.lake.positions import moved_positions, source_id
from flywheel.lake.rows import conform, equality, require_equal
from flywheel.lake.tables import TABLES

__all__ = ["Lake"]

Result = TypeVar("Result")


class Lake:
    """All Delta tables under one root; safe for several threads and processes.

    Args:
        root: folder, or URL of an object store.
        local: folder of this machine for locks and what is derived; an object store needs it.
        engine: opens what runs heavy reads and upkeep; None: this process does.
    """

    def __init__(
        self, root: Path | str, *, local: Path | None = None, engine: OpenEngine | None = None
    ) -> None:
        self.location = LakeLocation.of(root, local)
        self.root = self.location.root
        self._lock = threading.RLock()
        self.digests = open_digests(self.location)
        self._handles = {
            name: TableHandle(table, self.location, self.digests) for name, table in TABLES.items()
        }
        self._duck = DuckDbEngine(self.location, self._handles, self._lock)
        self.engine: LakeEngine = (
            self._duck if engine is None else engine(self.location, self._handles, self._lock)
        )

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
        offset_ranges: Mapping[tuple[str, int], tuple[int, int]],
        empty_offsets: Mapping[tuple[str, int], int] = MappingProxyType({}),
    ) -> None:
        """Commit rows and move the positions of their sources, all in one commit.

        The positions move also when there are no rows.

        Args:
            table: name of a lake table.
            rows: the valid rows among the offsets that were read.
            offset_ranges: per topic id and partition, the position read from and the next to read.
            empty_offsets: how many offsets in between hold no record, where there are such.

        Raises:
            ConcurrencyError: a position is not (any more) where it was read from; nothing is
                written, and ``facts["positions"]`` tells where they are.
        """
        handle = self._handle(table)
        ready = conform(handle.table, rows)
        with self._lock:
            marks = moved_positions(handle, offset_ranges, empty_offsets)
            handle.append(ready, marks)

    def append_computed(
        self,
        table: str,
        ends: Mapping[str, int | None],
        make_rows: Callable[[Mapping[str, int | None]], pa.Table],
    ) -> int:
        """Commit rows that were computed from the table itself, and return how many.

        Of two processes that do so under one application id at the same time, one gets a
        ConcurrencyError.

        Args:
            table: name of a lake table.
            ends: per application, the version that the commit brings it to, if it is not further
                already; None: the next one.
            make_rows: told the present version of each application, None before the first; it may
                query the lake once.
        """
        handle = self._handle(table)
        with self._lock:
            delta = handle.ready()
            at = {application: delta.transaction_version(application) for application in ends}
            rows = conform(handle.table, make_rows(at))
            # A query of `make_rows` brings the snapshot forward, and so past others' commits.
            now = handle.present()
            if any(now.transaction_version(name) != version for name, version in at.items()):
                raise ConcurrencyError(
                    f"Another process wrote the same rows of {table} meanwhile.",
                    next_step="read them again and retry",
                )
            if rows.num_rows:
                marks = [
                    (name, (at[name] or 0) + 1 if end is None else max(end, at[name] or 0))
                    for name, end in ends.items()
                ]
                handle.append(rows, marks)
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

        def attempt() -> Result:
            with self._lock:
                return action()

        return retried(attempt, CONTENTION, ConcurrencyError)

    def can_write(self, table: str) -> bool:
        """Return whether this process may write a table: a read-only home can still be looked at."""
        with self._lock:
            return self._handle(table).can_write

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

    def query(
        self,
        sql: str,
        params: Parameters = None,
        *,
        event_days: Collection[date | None] | None = None,
    ) -> pa.Table:
        """Run SQL over the newest state of the tables it names; times come back in UTC.

        The result is an Arrow table: ``to_pandas()`` and ``to_pylist()`` turn it into others.

        Args:
            sql: DuckDB's SQL; `tables` lists what it may read.
            params: values for ``?`` or ``$name``.
            event_days: days (``day``) of the events that the query asks for: files of others are
                not opened, however long the history is. None: any.

        Raises:
            DataError: the query is wrong; the error lists the tables or columns there are.
        """
        return self._duck.query(sql, params, event_days)

    def query_files(
        self, sql: str, params: Mapping[str, Any], views: Mapping[str, Sequence[str]]
    ) -> pa.Table:
        """Run SQL over some data files of the events alone, as they are stored.

        Args:
            sql: DuckDB's SQL over the views, and over other tables as ``stored.<table>``.
            params: values for ``$name``.
            views: data files by their path below the table's folder, by the name of the view; its
                column ``file`` is the path that a row was read from.
        """
        return self._duck.query_files(sql, params, views)

    def event_folders(self, keys: Keys) -> set[str]:
        """Name the partition folders of the events that hold ids with these hashes, and perhaps more."""
        with self._lock:
            return self._duck.folders_of(keys)

    @property
    def is_read_here(self) -> bool:
        """Whether `scan` reads in this process, and not on a cluster."""
        return self.engine is self._duck

    def scan(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        event_days: Collection[date] | None = None,
    ) -> pa.Table:
        """Run SQL that reads many rows, on the engine that the deployment chose.

        The arguments, the result and the errors are those of `query`; parameters have names.

        Raises:
            UnavailableError: the engine does not answer.
        """
        return self.engine.query(sql, params, event_days)

    def rows(
        self,
        sql: str,
        params: Parameters = None,
        *,
        event_days: Collection[date | None] | None = None,
    ) -> list[Row]:
        """Run SQL and return one dict per row; the arguments are those of `query`."""
        return list(self.query(sql, params, event_days=event_days).to_pylist())

    def event_days(
        self,
        workload_id: str,
        since: date,
        *,
        ids: Sequence[str] = (),
        landed_after: Mapping[str, int] | None = None,
    ) -> set[date]:
        """Return days of a workload's events, for `query`; a few more than needed are possible.

        Args:
            workload_id: whose events.
            since: every day from here on.
            ids: and the days that hold one of these inference ids.
            landed_after: and those that hold an event beyond these offsets, by topic id and
                partition (``topic/partition``), or of another partition; None: no others.
        """
        with self._lock:
            delta = self._handle("inferences").refresh()
            if delta is None:
                return set()
            folders = self.engine.folders_with(workload_id, ids) if ids else set()
            return days_of_files(delta, workload_id, since, folders, landed_after)

    @property
    def reader(self) -> str:
        """What reads the lake's files for DuckDB: ``disk``, ``httpfs`` or ``fsspec``."""
        with self._lock:
            return self._duck.reader

    def tables(self) -> pa.Table:
        """List the tables and views: ``name``, ``kind``, ``rows`` and ``meaning``.

        Rows of erased persons are not counted; those of a view are not counted at all, since some
        views read the whole history.
        """
        return catalog.tables(self.rows)

    def describe(self, name: str) -> pa.Table:
        """Describe a table or view: ``column``, ``type`` (of DuckDB) and ``meaning`` of each column.

        Raises:
            DataError: there is no such table or view.
        """
        return catalog.describe(self.rows, name)

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
            self._duck.close()
            self.engine.close()
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
