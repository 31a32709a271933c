"""Dagster's storage in files: they stay open between queries and are closed with the instance."""

import gc
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import Engine, event, text

from flywheel.orchestration.instance import open_instance, prepare_dagster_home
from flywheel.settings import load_settings


@dg.asset
def counted():
    return dg.MaterializeResult(metadata={"rows": 1})


def run(instance):
    job = dg.Definitions(assets=[counted], jobs=[dg.define_asset_job("job")])
    return job.resolve_job_def("job").execute_in_process(instance=instance)


@pytest.fixture
def home(tmp_path):
    return prepare_dagster_home(load_settings(home=tmp_path))


@pytest.fixture
def opened():
    """Count the connections that SQLAlchemy opens, by file."""
    files = Counter()

    def count(connection, _record):
        ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()
        files[file.rsplit("/", 1)[-1]] += 1

    event.listen(Engine, "connect", count)
    yield files
    event.remove(Engine, "connect", count)


def test_a_run_opens_a_few_connections(home, opened):
    """Its own file, the runs' and the index are opened once or twice; it stores 15 events."""
    with open_instance(home) as instance:
        run(instance)
        opened.clear()
        result = run(instance)

        assert len(result.all_events) > 10
        assert max(opened.values()) <= 2
        assert opened["runs.db"] + opened["index.db"] <= 1


def test_a_runs_file_is_as_dagster_makes_it(home, monkeypatch):
    """The same tables, revision and journal; made once, however many runs there are."""
    made = []
    initdb = SqliteEventLogStorage._initdb

    def counted(self, engine, **kwargs):
        made.append(engine)
        initdb(self, engine, **kwargs)

    monkeypatch.setattr(SqliteEventLogStorage, "_initdb", counted)
    with open_instance(home) as instance:
        run(instance)
        made.clear()
        ours = described(instance.event_log_storage.path_for_shard(run(instance).run_id))
        assert made == []
    with tempfile.TemporaryDirectory() as folder:
        theirs = SqliteEventLogStorage(folder)
        with theirs.run_connection("run"):
            pass
        assert ours == described(theirs.path_for_shard("run"))


def test_a_file_that_another_process_made_is_not_replaced(home, monkeypatch):
    """Two processes that write a run's first event at one moment: one looks before the other wrote."""
    with open_instance(home) as first, open_instance(home) as second:
        ours, theirs = first.event_log_storage, second.event_log_storage
        path = Path(theirs.path_for_shard("run"))
        with theirs.run_connection("run") as connection:
            connection.execute(text("INSERT INTO event_logs (run_id, event) VALUES ('run', '{}')"))
        assert ours._empty_file
        with monkeypatch.context() as context:
            context.setattr(Path, "exists", lambda _: False)
            assert not ours._create(path)
        with ours.run_connection("run") as connection:
            assert connection.execute(text("SELECT count(*) FROM event_logs")).scalar() == 1
        assert [one for one in path.parent.iterdir() if one.name.startswith(".new-")] == []


def described(file):
    """Return what an SQLite file is made of: its tables and indexes, revision and journal."""
    with sqlite3.connect(file) as connection:
        return (
            sorted(connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()),
            connection.execute("SELECT version_num FROM alembic_version").fetchall(),
            connection.execute("PRAGMA journal_mode").fetchall(),
        )


def test_the_events_of_a_run_do_not_wait_for_the_disk(home):
    """Its log stays whole in a power cut, and the index of assets loses nothing."""
    pragma = text("PRAGMA synchronous")
    full, normal = 2, 1
    with open_instance(home) as instance:
        storage = instance.event_log_storage
        with storage.run_connection(run(instance).run_id) as connection:
            assert connection.execute(pragma).scalar() == normal
        with storage.index_connection() as connection:
            assert connection.execute(pragma).scalar() == full
        with instance.run_storage.connect() as connection:
            assert connection.execute(pragma).scalar() == full


def test_a_closed_instance_leaves_no_file_open(home):
    """More runs than files are kept open, and none after the end."""
    with open_instance(home) as instance:
        for _ in range(10):
            run(instance)
        during = [path for path in open_files(home) if path.endswith(".db")]
        runs = [path for path in during if "history/runs/" in path]
        assert 1 <= len(runs) <= 8

    assert not open_files(home)


def open_files(home):
    """Return the open files of a home; SQLite closes one when the last cursor of it is collected."""
    gc.collect()
    files = {file.path for file in psutil.Process().open_files()}
    return [path for path in files if path.startswith(str(home.folder))]


def test_another_instance_reads_what_an_open_one_wrote(home):
    """The webserver sees a run while the daemon's process still holds its files."""
    with open_instance(home) as instance:
        run_id = run(instance).run_id
        with open_instance(home) as other:
            assert other.get_run_by_id(run_id).is_success
            assert other.get_latest_materialization_event(dg.AssetKey("counted")) is not None
