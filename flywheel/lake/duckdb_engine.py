"""`DuckDbEngine`: queries by DuckDB in this process, upkeep by delta-rs."""

import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from flywheel.lake.arrow_results import read_arrow
from flywheel.lake.engine import Parameters
from flywheel.lake.event_ids import Keys
from flywheel.lake.handles import NO_HOOKS, TableHandle
from flywheel.lake.location import LakeLocation
from flywheel.lake.query_errors import (
    could_not_read,
    query_error,
    read_error,
    require_queries,
)
from flywheel.lake.query_views import LakeViews

__all__ = ["DuckDbEngine", "words_of"]

_WORD = re.compile(r"\w+")


def words_of(sql: str) -> set[str]:
    """Return the words of a query in lower case, which tell the tables that it reads."""
    return set(_WORD.findall(sql.lower()))


class DuckDbEngine:
    """The engine of one machine.

    Args:
        location: of the lake.
        handles: of every table, by name.
        lock: that every use of a handle needs.
    """

    def __init__(
        self, location: LakeLocation, handles: Mapping[str, TableHandle], lock: threading.RLock
    ) -> None:
        self._location = location
        self._lock = lock
        self._views = LakeViews(location, handles)

    def query(
        self, sql: str, params: Parameters, event_days: Collection[date | None] | None
    ) -> pa.Table:
        """Run SQL over the newest state of the tables it names."""
        words = words_of(sql)
        with self._refreshing():
            cursor = self._views.cursor(words, event_days)
        return self._result(cursor, sql, words, params)

    def query_files(
        self, sql: str, params: Parameters, views: Mapping[str, Sequence[str]]
    ) -> pa.Table:
        """Run SQL over views of some data files of the events, as they are stored."""
        words = words_of(sql)
        with self._refreshing():
            cursor = self._views.file_cursor(words, views)
        return self._result(cursor, sql, words, params)

    def folders_of(self, keys: Keys) -> set[str]:
        """Name the partition folders that hold events whose ids have these hashes."""
        return self._views.folders_of(keys)

    @contextmanager
    def _refreshing(self) -> Iterator[None]:
        # The views run queries of their own: what fails there is a file, and not what was asked.
        with self._lock:
            try:
                yield
            except duckdb.Error as error:
                raise read_error(error, self._location) from error

    def _result(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, words: set[str], params: Parameters
    ) -> pa.Table:
        try:
            statements = cursor.extract_statements(sql)
            require_queries(statements)
            if len(statements) == 1:
                return read_arrow(cursor, sql, params)
            return cursor.sql(sql, params=params).to_arrow_table()
        except duckdb.Error as error:
            if could_not_read(error, self._location):
                raise read_error(error, self._location) from error
            raise query_error(error, words) from error
        finally:
            cursor.close()

    def folders_with(self, workload_id: str, ids: Sequence[str]) -> set[str]:
        """Name the partition folders that hold events with these ids, from the hashes of all ids."""
        return self._views.folders_with(workload_id, ids)

    def compact(self, delta: DeltaTable, days: Sequence[date] | None) -> None:
        """Compact by delta-rs."""
        chosen = None if days is None else [("day", "in", [day.isoformat() for day in days])]
        delta.optimize.compact(partition_filters=chosen, post_commithook_properties=NO_HOOKS)

    def vacuum(self, delta: DeltaTable, retention_hours: int) -> int:
        """Delete by delta-rs."""
        # Full: a checkpoint has forgotten which files were removed long ago, and files that a
        # killed process never committed were in no log. Both are recognized by their age on disk.
        removed = delta.vacuum(
            retention_hours, dry_run=False, full=True, post_commithook_properties=NO_HOOKS
        )
        return len(removed)

    @property
    def reader(self) -> str:
        """What reads the files: ``disk``, ``httpfs`` or ``fsspec``."""
        return self._views.reader

    def close(self) -> None:
        """Release DuckDB; the next query opens it again."""
        self._views.close()
