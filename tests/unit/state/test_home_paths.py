"""Paths in rows: relative to the home, and old absolute ones read as the home's own files."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flywheel.clock import ManualClock
from flywheel.errors import IntegrityError
from flywheel.release.registry import MlflowRegistry
from flywheel.state import State
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
        heads.append([(seq, f"hash {seq}")])
    text = heads.path.read_text()
    heads.path.write_text(text[:-5])
    assert heads.read() == {1: "hash 1"}
    heads.path.write_text(text[:10] + "\n" + text)
    with pytest.raises(IntegrityError, match="line 1 is damaged"):
        heads.read()
    heads.path.write_text(text + '{"seq": 2, "hash": "other"}\n')
    with pytest.raises(IntegrityError, match="two hashes"):
        heads.read()


def test_a_torn_line_is_replaced_by_the_next_one(tmp_path):
    """What a crash left out or cut off is added by the next row, whoever writes it first."""
    heads = AuditHeads(tmp_path / "heads.jsonl")
    rows = [(seq, f"hash {seq}") for seq in range(1, 7)]
    for count in (1, 2, 3):
        heads.append(rows[:count])
    heads.path.write_text(heads.path.read_text()[:-5])
    heads.append(rows[:6])
    heads.append(rows[:5])
    assert heads.read() == dict(rows)
    assert len(heads.path.read_text().splitlines()) == 6


def test_a_file_that_was_cut_off_is_not_filled_in(tmp_path):
    """More rows than a crash leaves out are a finding, and so is a file that is gone."""
    heads = AuditHeads(tmp_path / "heads.jsonl")
    chain = {seq: f"hash {seq}" for seq in range(1, 60)}
    rows = list(chain.items())
    for count in range(1, 31):
        heads.append(rows[max(0, count - 16) : count])
    lines = heads.path.read_text().splitlines(keepends=True)
    heads.path.write_text("".join(lines[:10]))
    heads.append(rows[14:31])
    assert AuditHeads.missing(heads.read(), dict(rows[:31])) == "rows 11 to 30 are not in it"
    heads.path.unlink()
    heads.append(rows[15:32])
    assert AuditHeads.missing(heads.read(), dict(rows[:32])) == "rows 1 to 31 are not in it"
    heads.path.unlink()
    assert AuditHeads.missing(heads.read(), dict(rows[:32])) == "it is gone or empty"


def test_rows_of_a_server_that_another_home_wrote_are_counted(tmp_path):
    """Each home keeps the hashes of what it wrote; of the others it can compare nothing."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    url = f"sqlite:///{tmp_path / 'state.db'}"
    for name in "ab":
        (tmp_path / name).mkdir()
    homes = [State.open(url, clock, home=tmp_path / name) for name in "ab"]
    for state in homes:  # as one server behind both
        address = state._database.address
        state._database.address = replace(address, is_sqlite=False)
    for number in range(40):
        homes[number % 2].audit._heads.append([(number + 1, f"{number}")])
    for state in homes:
        state.audit._chain = lambda: {number + 1: f"{number}" for number in range(40)}
        assert state.audit.verify() == (40, "39")
        assert (state.audit.without_head(), state.audit.without_comparison()) == (0, 20)
        state.close()


def test_an_audit_of_before_there_was_a_file_begins_one(tmp_path):
    """A state of version 0.1 is no finding: what it audited is kept from the migration on."""
    state = State.open(
        f"sqlite:///{tmp_path / 'state.db'}",
        ManualClock(datetime(2026, 3, 1, tzinfo=UTC)),
        home=tmp_path,
    )
    state.audit.append("a", "b", "c")
    state.close()
    (tmp_path / "audit_heads.jsonl").unlink()
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        # What that version did not have.
        for table in (
            "api_keys", "desk_records", "key_use", "people", "release_looks", "release_stages",
        ):  # fmt: skip
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    state = State.open(
        f"sqlite:///{tmp_path / 'state.db'}",
        ManualClock(datetime(2026, 3, 1, tzinfo=UTC)),
        home=tmp_path,
    )
    state.audit.append("d", "e", "f")
    assert state.audit.verify()[0] == 2
    state.close()
