"""The schema that unit tests repeat is the one that the migrations make."""

import sqlite3

from sqlalchemy import create_engine

from flywheel.state.schema import HEAD
from tests.fakes.migrated_state import migrated_once


def _schema(path, upgrade):
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    with sqlite3.connect(path) as read:
        tables = read.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2")
        found = tables.fetchall()
        rows = {
            name: read.execute(f"SELECT * FROM {name}").fetchall()
            for kind, name, *_ in found
            if kind == "table"
        }
    read.close()
    return found, rows


def test_what_is_repeated_is_what_the_migrations_made(tmp_path):
    """Every table, index, trigger and row, from the second empty state on."""
    upgrade = migrated_once()
    first, second = (_schema(tmp_path / name, upgrade) for name in ("1.db", "2.db"))
    assert first == second
    assert first[1]["alembic_version"] == [(HEAD,)]


def test_a_state_that_is_not_empty_is_left_to_the_migrations(tmp_path):
    """What stands in it already was made by a version, or by nobody whom we know."""
    asked = []
    upgrade = migrated_once(asked.append)
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE cycles (id TEXT)")
        upgrade(connection)
        upgrade(connection)
    engine.dispose()
    assert len(asked) == 2
