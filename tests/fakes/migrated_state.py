"""The state's schema as the migrations make it, made once in a process and repeated from then on.

All versions of the schema, one after the other, take alembic forty milliseconds of a core, and most
tests begin with an empty state.
"""

import sqlite3
from collections.abc import Callable

from sqlalchemy import Connection

from flywheel.state import database

__all__ = ["migrated_once"]

_FRAME = ("BEGIN TRANSACTION;", "COMMIT;")


def migrated_once(upgrade: Callable[[Connection], None] = database._upgrade) -> Callable[..., None]:
    """Return what brings a database to the newest version: an empty SQLite file by what it made before.

    Every other database, one with an older schema among them, is left to the migrations.
    """
    statements: list[str] = []

    def repeat(connection: Connection) -> None:
        if not _is_empty_sqlite(connection):
            upgrade(connection)
        elif statements:
            for statement in statements:
                connection.exec_driver_sql(statement)
        else:
            upgrade(connection)
            statements.extend(_dump(connection))

    return repeat


def _is_empty_sqlite(connection: Connection) -> bool:
    if connection.dialect.name != "sqlite":
        return False
    return connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0


def _dump(connection: Connection) -> list[str]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return [statement for statement in driver.iterdump() if statement not in _FRAME]
