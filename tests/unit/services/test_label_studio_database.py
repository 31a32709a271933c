"""A new Label Studio database is a copy of what the migrations of its version made."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flywheel.errors import StorageError
from flywheel.services import label_studio_database
from flywheel.services.label_studio_database import copy_is_current, empty_database, write_copy
from flywheel.services.supervisor.environments import environment_programs


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return where the environment of the locked version would be."""
    environment = environment_programs("label-studio", tmp_path).parent
    environment.mkdir(parents=True)
    return environment


def _never(_database: Path) -> None:
    raise AssertionError("the migrations ran")


def _rows(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute(query).fetchall()


def test_the_copy_is_of_the_locked_version(environment):
    """After a change of the lock, `make lock` writes it anew: else each first start takes a minute."""
    assert copy_is_current(environment)


def test_a_new_database_has_the_tables_and_nobodys_data(environment):
    """No server runs for it, and the next one gets the same file."""
    database = empty_database(environment, _never, _never)
    assert _rows(database, "PRAGMA integrity_check") == [("ok",)]
    assert _rows(database, "SELECT count(*) FROM django_migrations") == [(396,)]
    for table in ("htx_user", "organization", "project", "task", "task_completion", "webhook"):
        assert _rows(database, f"SELECT count(*) FROM {table}") == [(0,)]
    before = database.stat().st_mtime_ns
    assert empty_database(environment, _never, _never).stat().st_mtime_ns == before


def test_a_copy_of_another_version_is_not_used(environment, monkeypatch, tmp_path):
    """The migrations of the installed version run then, and it is said that they take long."""
    copy = tmp_path / "copy.sql"
    copy.write_text("-- label-studio-of-another-version\nCREATE TABLE task (id);\n")
    monkeypatch.setattr(label_studio_database, "_COPY", copy)
    lines: list[str] = []
    database = empty_database(environment, lambda made: made.touch(), lines.append)
    assert database.read_bytes() == b""
    assert len(lines) == 1


def test_a_copy_that_is_written_is_read_again(environment, monkeypatch, tmp_path):
    """Quotes and line breaks in it included."""
    monkeypatch.setattr(label_studio_database, "_COPY", tmp_path / "copy.sql")
    source = tmp_path / "source.sqlite3"
    with closing(sqlite3.connect(source)) as opened:
        opened.execute("CREATE TABLE said (text)")
        opened.execute("INSERT INTO said VALUES ('it''s ; \n two')")
        opened.commit()
    write_copy(environment, source)
    database = empty_database(environment, _never, _never)
    assert _rows(database, "SELECT text FROM said") == [("it's ; \n two",)]


def test_a_cache_that_cannot_be_written_is_named(environment, monkeypatch):
    """Where the disk is full, what to do is said."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(label_studio_database, "copy_file", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        empty_database(environment, _never, _never)
    assert "FLYWHEEL_CACHE" in caught.value.next_step
