"""Paths in rows: relative to the home, and old absolute ones read as the home's own files."""

import sqlite3
from contextlib import closing

import pytest

from flywheel.errors import IntegrityError
from flywheel.release.registry import MlflowRegistry
from flywheel.state.audit_heads import AuditHeads
from flywheel.state.home_paths import HomePaths
from tests.fakes.release_world import ReleaseWorld


@pytest.fixture
def paths(tmp_path):
    """Return the paths of a home that holds one run of a workload called runs."""
    (tmp_path / "home" / "runs" / "runs" / "2026Q1-1").mkdir(parents=True)
    return HomePaths(tmp_path / "home")


def test_a_path_in_the_home_is_stored_relative_and_comes_back(paths):
    """So that it moves with the home."""
    path = str(paths.home / "runs" / "runs" / "2026Q1-1")
    assert paths.stored(path) == "runs/runs/2026Q1-1"
    assert paths.resolved("runs/runs/2026Q1-1") == path
    assert paths.resolved(path) == path
    assert HomePaths(paths.home.parent / "new").resolved("runs/x").endswith("/new/runs/x")


def test_an_absolute_path_of_an_earlier_version_means_the_same_file_here(paths):
    """Whatever the former home was called, and though it may still exist."""
    own = str(paths.home / "runs" / "runs" / "2026Q1-1")
    assert paths.resolved("/data/runs/old home/runs/runs/2026Q1-1") == own
    assert paths.resolved("/elsewhere/runs/other/1") == "/elsewhere/runs/other/1"


def test_a_path_outside_of_the_home_stays(paths):
    """It is somebody else's file."""
    assert paths.stored("/models/x") == "/models/x"
    assert paths.resolved("/models/x") == "/models/x"
    assert HomePaths(None).stored("/models/x") == HomePaths(None).resolved("/models/x")


def test_no_row_holds_the_place_of_the_home(tmp_path):
    """Releases, attempts and audit name files without the home that they lie in."""
    mlflow = tmp_path / "mlflow"
    registry = MlflowRegistry(f"sqlite:///{mlflow / 'mlflow.db'}", mlflow / "artifacts")
    world = ReleaseWorld(tmp_path, registry)
    world.judged("r1")
    world.close()
    with closing(sqlite3.connect(world.root / "state.db")) as connection:
        dump = "\n".join(connection.iterdump())
    assert "runs/r1/adapter" in dump
    assert str(world.root) not in dump


def test_hashes_survive_a_torn_last_line_only(tmp_path):
    """A crash may cut off the end of the file; in its middle that is damage."""
    heads = AuditHeads(tmp_path / "heads.jsonl")
    for seq in (1, 2):
        heads.append(seq, f"hash {seq}")
    text = heads.path.read_text()
    heads.path.write_text(text[:-5])
    assert heads.read() == {1: "hash 1"}
    heads.path.write_text(text[:10] + "\n" + text)
    with pytest.raises(IntegrityError, match="line 1 is damaged"):
        heads.read()
    heads.path.write_text(text + '{"seq": 2, "hash": "other"}\n')
    with pytest.raises(IntegrityError, match="two hashes"):
        heads.read()
