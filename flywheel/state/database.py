"""The database behind the state: connections, transactions and migrations.

A transaction joins the one that the same thread already has open, so that several small methods
can be made one atomic step. On both databases one transaction writes at a time: what a method has
read is still so when it writes.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

# Whole before a statement is made: while another thread is in the middle of importing it (MLflow
# does, sensors are threads), every one fails with an AttributeError.
import sqlalchemy.orm  # noqa: F401
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from flywheel.errors import ConfigurationError, StorageError
from flywheel.io.retry import AWAY, retried
from flywheel.io.sqlite_file import can_write, read_only_uri, use_write_ahead_log
from flywheel.state.address import StateAddress, parse_address
from flywheel.state.failures import is_away, refuse_unfit_values, translated
from flywheel.state.home_paths import HomePaths
from flywheel.state.schema import HEAD

__all__ = ["Database"]

_BUSY_SECONDS = 30
# A server that restarts is waited for this long before the first statement: nothing is half yet.
_AWAY_SECONDS = 10.0
# How long libpq waits for a server to let us in, and for one that no longer acknowledges.
_NETWORK = {
    "connect_timeout": 5,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# A writer that stops in mid-transaction (a frozen process) is cut off by the server before the
# next one gives up waiting for its turn.
_FROZEN_SECONDS = 20
_TURN = int.from_bytes(b"flywheel")


class Database:
    """One SQL database, SQLite or PostgreSQL; an SQLite file that may not be written is read.

    Args:
        url: SQLAlchemy URL.
        home: folder of the deployment, which paths in rows are relative to.
    """

    def __init__(self, url: str, *, home: Path | None = None) -> None:
        self.address = parse_address(url)
        self.paths = HomePaths(home)
        self.engine = _engine(self.address)
        event.listen(self.engine, "handle_error", refuse_unfit_values)
        self._local = threading.local()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that commits at the end of the block.

        Raises:
            UnavailableError: the database is locked or away.
            ConcurrencyError: another process wrote the same row.
            StorageError: the file is not a usable database, or a value cannot be kept.
            ConfigurationError: the server does not let this user in.
        """
        joined: Connection | None = getattr(self._local, "connection", None)
        if joined is not None:
            yield joined
            return
        with translated(self.address), self._connect() as connection, connection.begin():
            if not self.address.is_sqlite:
                connection.exec_driver_sql(_take_turn())
            self._local.connection = connection
            self._local.afterwards = []
            try:
                yield connection
            finally:
                self._local.connection = None
        for action in self._local.afterwards:
            action()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run an action once the transaction of this thread is committed; call it within one."""
        self._local.afterwards.append(action)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment and waits for no writer."""
        joined: Connection | None = getattr(self._local, "connection", None)
        if joined is not None:
            yield joined
            return
        options: dict[str, Any] = {"flywheel_read": True}
        if not self.address.is_sqlite:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            translated(self.address),
            self._connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to the newest version; two processes may try at once.

        Returns:
            The version it had (None for an empty database) and the one it has.
        """
        with self.read() as connection:
            had = _revision(connection)
        if had != HEAD:
            with self.write() as connection:
                if _revision(connection) != HEAD:
                    _upgrade(connection)
        return had, HEAD

    def revision(self) -> str | None:
        """Return the version of the schema, None where there is none."""
        with self.read() as connection:
            return _revision(connection)

    def _connect(self) -> Connection:
        if self.address.is_sqlite:
            return self.engine.connect()

        def attempt() -> Connection:
            with translated(self.address):
                return self.engine.connect()

        return retried(attempt, AWAY.within(_AWAY_SECONDS), _is_server_away)


def _is_server_away(error: BaseException) -> bool:
    return isinstance(error.__cause__, DBAPIError) and is_away(error.__cause__)


def _take_turn() -> str:
    # One round trip. Read committed, so that every statement after the lock sees what the writers
    # before have left; the lock ends with the transaction, also when the process dies.
    return (
        f"SET LOCAL lock_timeout = '{_BUSY_SECONDS}s'; "
        f"SET LOCAL idle_in_transaction_session_timeout = '{_FROZEN_SECONDS}s'; "
        f"SELECT pg_advisory_xact_lock({_TURN})"
    )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(
            f"The state database cannot be brought to version {HEAD}: {error}",
            next_step="use the Flywheel version that wrote it, or a newer one",
        ) from error


def _engine(address: StateAddress) -> Engine:
    options: dict[str, Any] = {
        # A parameter may be a person's text; NaN is not JSON, and SQLite alone would take it.
        "hide_parameters": True,
        "json_serializer": partial(json.dumps, allow_nan=False),
    }
    if not address.is_sqlite:
        return _postgres_engine(address, options)
    if address.file.exists() and not can_write(address.file):
        engine = create_engine(
            "sqlite://", creator=partial(_connect_to_read, address.file), **options
        )
        event.listen(engine, "connect", _leave_transactions)
        event.listen(engine, "begin", _begin_reading)
        return engine
    address.file.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address.url, connect_args={"timeout": _BUSY_SECONDS}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres_engine(address: StateAddress, options: dict[str, Any]) -> Engine:
    settings = {"application_name": "flywheel", **_NETWORK}
    arguments = {key: value for key, value in settings.items() if key not in address.url.query}
    try:
        # A connection that the server has dropped since is found out before it is used.
        return create_engine(address.url, pool_pre_ping=True, connect_args=arguments, **options)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "The driver for PostgreSQL is not installed.",
            next_step="install the extra: pip install 'flywheel-slm[postgres]'",
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Python's own transaction handling would begin only at the first write: ours begin when asked.
    connection.isolation_level = None
    use_write_ahead_log(connection, seconds=_BUSY_SECONDS)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _connect_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        read_only_uri(path), uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
    )


def _leave_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later can fail with "locked" at once,
    # without waiting; so writers take the lock at the start.
    reads = connection.get_execution_options().get("flywheel_read", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
