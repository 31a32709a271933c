"""The database that unit tests copy is the one that MLflow's migrations make."""

import sqlite3
from contextlib import closing

from flywheel.release.mlflow_calls import MlflowPlace
from tests.fakes.migrated_mlflow import _prepare


def _content(path):
    with closing(sqlite3.connect(path)) as read:
        tables = [name for (name,) in read.execute("SELECT name FROM sqlite_master ORDER BY 1")]
        versions = read.execute("SELECT * FROM alembic_version").fetchall()
        columns = {name: read.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
        experiments = read.execute("SELECT experiment_id, name FROM experiments").fetchall()
    return tables, versions, columns, experiments


def test_what_is_copied_is_what_the_migrations_made(tmp_path, monkeypatch):
    """Tables, columns, version and the one experiment that MLflow makes."""
    copied, made = tmp_path / "copied.db", tmp_path / "made.db"
    MlflowPlace(f"sqlite:///{copied}").connect()
    monkeypatch.setattr("flywheel.release.mlflow_calls._prepare_sqlite", _prepare)
    MlflowPlace(f"sqlite:///{made}").connect()
    assert _content(copied) == _content(made)
    assert _content(made)[3] == [(0, "Default")]
