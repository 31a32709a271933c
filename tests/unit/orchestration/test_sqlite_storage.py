"""Dagster's storage in files: they stay open between queries and are closed with the instance."""

from collections import Counter

import dagster as dg
import psutil
import pytest
from sqlalchemy import Engine, event

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


def test_a_closed_instance_leaves_no_file_open(home):
    """More runs than files are kept open, and none after the end."""
    with open_instance(home) as instance:
        for _ in range(10):
            run(instance)
        during = {file.path for file in psutil.Process().open_files() if file.path.endswith(".db")}
        runs = [path for path in during if "history/runs/" in path]
        assert 1 <= len(runs) <= 8

    after = {file.path for file in psutil.Process().open_files()}
    assert not [path for path in after if path.startswith(str(home.folder))]


def test_another_instance_reads_what_an_open_one_wrote(home):
    """The webserver sees a run while the daemon's process still holds its files."""
    with open_instance(home) as instance:
        run_id = run(instance).run_id
        with open_instance(home) as other:
            assert other.get_run_by_id(run_id).is_success
            assert other.get_latest_materialization_event(dg.AssetKey("counted")) is not None
