"""Dagster's storages with connections that are used again; ``dagster.yaml`` names one of them.

Dagster's own open a connection for each query, so that many instances hold none. In PostgreSQL each
costs both sides the handshake of a password, and a daemon with ten sensors opens about twenty a
second. In SQLite each one that is closed last copies the write-ahead log into the file and deletes
it.

The events of a run in SQLite are not waited for until they are on the disk: after a power cut the
last ones may be missing. Runs, ticks and the index of assets are.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

# Whole before threads ask: while another one is in the middle of importing it, every statement
# fails with an AttributeError.
import sqlalchemy.orm  # noqa: F401
from dagster._core.storage.config import PostgresStorageConfig
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Connection, Engine, create_engine, event

from flywheel.io.atomic import write_bytes

__all__ = ["PooledPostgresStorage", "PooledSqliteStorage"]

# Kept open by a process, and opened beside them where threads of it ask at the same moment.
_KEPT = 4
_BESIDE = 20
# Each run has a file of its own; a process writes to as many at once as the daemon starts.
_KEPT_RUNS = 8
_BUSY_SECONDS = 30


class _Runs(PostgresRunStorage):
    # The instance closes this one and that of events, and not that of schedules.
    def dispose(self) -> None:
        super().dispose()
        self._engine.dispose()


class PooledPostgresStorage(DagsterPostgresStorage):
    """Runs, events and ticks in PostgreSQL, through a few connections a process.

    A connection that the server closed meanwhile is noticed and replaced before it is used; all are
    closed with the instance.
    """

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._run_storage = _Runs(postgres_url, should_autocreate_tables=False)  # done above
        engine = create_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=_KEPT,
            max_overflow=_BESIDE,
            pool_pre_ping=True,
        )
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine  # noqa: SLF001

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledPostgresStorage":
        """Open it as ``dagster.yaml`` says."""
        return cls(pg_url_from_config(cast("PostgresStorageConfig", config_value)), inst_data)


def _sqlite_engine(url: str, *, durable: bool = True) -> Engine:
    engine = create_engine(
        url, pool_size=1, max_overflow=_BESIDE, connect_args={"timeout": _BUSY_SECONDS}
    )
    if not durable:
        event.listen(engine, "connect", _leave_to_the_disk)
    return engine


def _leave_to_the_disk(connection: Any, _record: object) -> None:
    # With a write-ahead log the file stays whole, whatever happens; 15 waits a run are saved.
    connection.execute("PRAGMA synchronous = NORMAL")


class _OneFile:
    """Queries of one file through its engine; mixed into Dagster's storage of runs or of ticks."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)  # type: ignore[call-arg]
        self._engine = _sqlite_engine(conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()  # type: ignore[misc]
        self._engine.dispose()


class _SqliteTicks(_OneFile, SqliteScheduleStorage):
    pass


class _SqliteRuns(_OneFile, SqliteRunStorage):
    """The instance closes runs and events, and not ticks: they are closed with the runs."""

    ticks: SqliteScheduleStorage

    def dispose(self) -> None:
        super().dispose()
        self.ticks.dispose()


class _SqliteEvents(SqliteEventLogStorage):
    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in self._engines:
                self._engines[shard] = _sqlite_engine(
                    self.conn_string_for_shard(shard), durable=shard == INDEX_SHARD_NAME
                )
            self._engines.move_to_end(shard)
            while len(self._engines) > _KEPT_RUNS:
                self._engines.popitem(last=False)[1].dispose()
            engine = self._engines[shard]
            if shard not in self._initialized_dbs:
                if not self._create(Path(self.path_for_shard(shard))):
                    self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _create(self, path: Path) -> bool:
        # A run's tables as Dagster makes them; made once a process and copied, since to make them
        # takes 70 ms of processor time. What another process made meanwhile stays.
        if path.exists():
            return False
        with TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:
            new = Path(folder, path.name)
            write_bytes(new, self._empty_file, durable=False)
            try:
                os.link(new, path)
            except FileExistsError:
                return False
        return True

    @cached_property
    def _empty_file(self) -> bytes:
        with TemporaryDirectory() as folder:
            file = Path(folder, "empty.db")
            engine = _sqlite_engine(f"sqlite:///{file}")
            self._initdb(engine)
            engine.dispose()  # which brings the write-ahead log into the file
            return file.read_bytes()

    def dispose(self) -> None:
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


class PooledSqliteStorage(DagsterSqliteStorage):
    """Runs, events and ticks in files of Dagster's home, which stay open between queries.

    All are closed with the instance.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # The base class's own would open each file a first time, with other storages.
        super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self.base_dir = base_dir
        self._inst_data = inst_data
        runs, ticks = (
            _SqliteRuns.from_local(f"{base_dir}/history/"),
            _SqliteTicks.from_local(f"{base_dir}/schedules"),
        )
        runs.ticks = ticks
        self._run_storage = runs
        self._event_log_storage = _SqliteEvents(f"{base_dir}/history/runs/")
        self._schedule_storage = ticks

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PooledSqliteStorage":
        """Open it as ``dagster.yaml`` says."""
        return cls.from_local(inst_data=inst_data, **config_value)
