"""Schema, transactions, time, and what happens to a database that is no such thing."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from flywheel.errors import StorageError
from flywheel.state import State
from flywheel.state.schema import metadata
from tests.fakes.release_world import make_workload


def test_migrations_end_at_the_schema(state, url):
    """What alembic builds is what the code reads and writes."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_head_is_the_newest_migration():
    """The short cut past alembic knows the last revision."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from flywheel.state import schema

    config = Config()
    folder = Path(schema.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_opening_twice_keeps_the_rows(state, url, clock):
    """A second handle sees what the first one wrote."""
    state.audit.append("e", "s", "a")
    other = State.open(url, clock)
    assert len(other.audit.of()) == 1
    other.close()


def test_newer_database_is_refused(state, url, clock):
    """A database of a newer Flywheel is left alone."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageError, match="cannot be brought"):
        State.open(url, clock)


def test_damaged_database_is_a_storage_error(tmp_path, clock):
    """A file that is no database says so."""
    (tmp_path / "state.db").write_bytes(b"this is not a database, it is a sentence" * 200)
    with pytest.raises(StorageError, match="not usable"):
        State.open(f"sqlite:///{tmp_path / 'state.db'}", clock)


def test_transaction_takes_everything_back(state):
    """An error inside a transaction leaves none of its rows."""

    def fail() -> None:
        with state.transaction():
            state.audit.append("one", "s", "a")
            state.decisions.record("w", opens=False, reason="", numbers={})
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert state.audit.of() == []
    assert state.decisions.of("w") == []


def test_moments_come_back_aware_and_in_utc(state, clock):
    """A moment given in another zone is the same moment."""
    local = datetime(2026, 4, 1, 8, tzinfo=timezone(timedelta(hours=2)))
    cycle = state.cycles.open(
        make_workload("w"),
        trigger="drift",
        opened_by="system",
        reason="",
        watermark=local,
        snapshot={},
    )
    assert cycle.watermark == local
    assert cycle.watermark.tzinfo == UTC


def test_naive_moment_is_refused(state):
    """A moment without a zone could be any."""
    with pytest.raises(StorageError, match="no time zone"):
        state.cycles.open(
            make_workload("w"),
            trigger="drift",
            opened_by="system",
            reason="",
            watermark=datetime(2026, 4, 1),  # noqa: DTZ001 - the point of the test
            snapshot={},
        )


def test_release_name_is_never_used_for_other_content(state, clock):
    """The same adapter again is fine, another one under its name is refused."""
    cycle = state.cycles.open(
        make_workload("w"),
        trigger="drift",
        opened_by="system",
        reason="",
        watermark=clock.now(),
        snapshot={},
    )
    facts = {
        "cycle": cycle.ref,
        "attempt": 1,
        "adapter": "folder",
        "dataset_hash": "d",
    }
    first = state.releases.record("r1", manifest_digest="m1", **facts)
    assert state.releases.record("r1", manifest_digest="m1", **facts) == first
    with pytest.raises(Exception, match="another adapter"):
        state.releases.record("r1", manifest_digest="m2", **facts)
