"""The database behind the state: connections, transactions and migrations.

A transaction joins the one that the same thread already has open, so that several small methods
can be made one atomic step.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, OperationalError

from flywheel.errors import ConfigurationError, StorageError, UnavailableError
from flywheel.state.schema import HEAD

__all__ = ["Database"]

_BUSY_SECONDS = 30


class Database:
    """One SQL database, SQLite or PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._local = threading.local()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that commits at the end of the block.

        Raises:
            UnavailableError: the database is locked or away.
            StorageError: the file is not a usable database.
        """
        joined: Connection | None = getattr(self._local, "connection", None)
        if joined is not None:
            yield joined
            return
        with _translated(), self.engine.connect() as connection, connection.begin():
            self._local.connection = connection
            try:
                yield connection
            finally:
                self._local.connection = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment and waits for no writer."""
        joined: Connection | None = getattr(self._local, "connection", None)
        if joined is not None:
            yield joined
            return
        with (
            _translated(),
            self.engine.connect().execution_options(flywheel_read=True) as connection,
            connection.begin(),
        ):
            yield connection

    def migrate(self) -> None:
        """Bring the schema to the newest version; two processes may try at once."""
        with self.read() as connection:
            if _revision(connection) == HEAD:
                return
        with self.write() as connection:
            if _revision(connection) != HEAD:
                _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.2 s, only for a new or old database
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

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


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "The state URL is not a database URL.",
            next_step="for example sqlite:////folder/state.db or postgresql+psycopg://host/name",
        ) from error
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database in {None, "", ":memory:"}:
        raise ConfigurationError(
            "The state cannot live in memory: other processes must see it.",
            next_step="give a file: sqlite:////folder/state.db",
        )
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Python's own transaction handling would begin only at the first write: ours begin when asked.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads first and writes later can fail with "locked" at once,
    # without waiting; so writers take the lock at the start.
    reads = connection.get_execution_options().get("flywheel_read", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if "no such" in str(error.orig):
            raise StorageError(
                f"The state database lacks a part of its schema: {error.orig}",
                next_step="open it with State.open, which brings it to the newest version",
            ) from error
        raise UnavailableError(
            f"The state database did not answer: {error.orig}",
            next_step="try again; if it stays so, look for a process that holds it or a full disk",
        ) from error
    except IntegrityError:
        raise  # the tables know which of their rules was broken
    except DatabaseError as error:
        raise StorageError(
            f"The state database is not usable: {error.orig}",
            next_step="restore it from a backup, or point FLYWHEEL_STATE_URL at another one",
        ) from error
