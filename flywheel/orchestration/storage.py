"""Dagster's PostgreSQL storage with connections that are used again.

Dagster's own opens a connection for each query, so that many instances hold none: a daemon with
ten sensors opens about twenty a second, and each costs both sides the handshake of a password.
``dagster.yaml`` names this class.
"""

from collections.abc import Mapping
from typing import Any, cast

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresRunStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import create_engine

__all__ = ["PooledPostgresStorage"]

# Kept open by a process, and opened beside them where threads of it ask at the same moment.
_KEPT = 4
_BESIDE = 20


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
