"""One command brings a whole state to another database: all of it, verified, or nothing."""

import hashlib
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, text
from typer.testing import CliRunner

from flywheel.cli import build_app
from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    StorageError,
)
from flywheel.state import State
from flywheel.state.copy import copy_state
from flywheel.state.database import Database
from flywheel.state.schema import HEAD, metadata, releases
from tests.fakes.registry import MemoryRegistry
from tests.fakes.release_world import ReleaseWorld


@pytest.fixture
def world(tmp_path):
    """Return a workload with a champion, a failed cycle and an approved candidate."""
    made = ReleaseWorld(tmp_path, MemoryRegistry(tmp_path))
    made.promoted("r1")
    failed = made.open_cycle(trigger="drift")
    made.state.decisions.record(
        made.workload.id, opens=True, reason="größer", numbers={"psi": 0.25}, cycle=failed.name
    )
    made.state.cycles.set_status(failed.ref, "stopped", "too few examples")
    made.clock.move_to(made.clock.now().replace(hour=20))
    made.cycle = made.approved("r2")
    yield made
    made.close()


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services("postgres"))]
)
def target(request, tmp_path) -> str:
    """Return the URL of an empty database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'copy' / 'state.db'}"


def rows_of(url: str) -> dict[str, int]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() or 0
            for name in metadata.tables
        }
    engine.dispose()
    return found


def content(path: Path) -> str:
    """Digest what a state's file holds, whatever is still in its write-ahead log."""
    import sqlite3

    with closing(sqlite3.connect(path)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def test_copied_state_is_the_same_and_goes_on(world, target):
    """Everything is there, and the approved candidate is promoted from the copy."""
    before = content(world.root / "state.db")
    length, newest = world.state.audit.verify()

    done = copy_state(world.url, target)

    assert done.newest_hash == newest
    assert done.rows == rows_of(world.url) == rows_of(target)
    assert done.rows["audit"] == length
    assert min(done.rows[name] for name in ("cycles", "approvals", "releases", "leases")) > 0
    assert content(world.root / "state.db") == before

    state = State.open(target, world.clock, home=world.root)
    workload_id = world.workload.id
    for store in ("cycles", "releases", "approvals", "decisions", "routes"):
        rows = getattr(state, store).of(workload_id)
        assert rows == getattr(world.state, store).of(workload_id)
    world.state.close()
    world.state = state
    world.promote(world.cycle)
    assert state.routes.champion(workload_id) == "r2"
    world.clock.move_to(world.clock.now().replace(hour=21))
    world.promoted("r3")
    assert state.audit.verify()[0] > length


def test_tokens_of_leases_grow_on(world, target):
    """A holder from before the copy is fenced after it."""
    old = world.state.leases.acquire("x", "one", 60)
    world.state.leases.release(old)
    copy_state(world.url, target)
    state = State.open(target, world.clock, home=world.root)
    assert state.leases.acquire("x", "two", 60).token == old.token + 1
    with pytest.raises(ConcurrencyError):
        state.leases.check(old)
    state.close()


def test_target_with_a_state_is_refused(world, target, clock):
    """Two states are not merged, and the target stays as it was."""
    other = State.open(target, clock)
    other.audit.append("e", "s", "a")
    with pytest.raises(RefusedError, match="1 audit"):
        copy_state(world.url, target)
    assert other.audit.verify()[0] == 1
    assert other.cycles.of(world.workload.id) == []
    other.close()


def test_state_that_is_in_use_is_not_copied(world, target):
    """Whoever holds a lease would write on to the old place."""
    with world.state.leases.hold("champion:w"), pytest.raises(ConcurrencyError, match="at work"):
        copy_state(world.url, target)
    assert set(rows_of(target).values()) == {0}


def test_broken_audit_is_not_copied(world, target):
    """A chain that does not verify is found before anything is written."""
    engine = create_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_no_update"))
        connection.execute(text("UPDATE audit SET actor = 'eve' WHERE seq = 2"))
    engine.dispose()
    with pytest.raises(IntegrityError, match="broken at row 2"):
        copy_state(world.url, target)
    assert set(rows_of(target).values()) == {0}


@pytest.mark.services
def test_row_that_the_target_does_not_take_leaves_nothing(world, postgres_url):
    """A failure on the way takes back what was copied before it."""
    with world.state._database.write() as connection:
        row = world.state.releases.get("r1")
        values = {name: getattr(row, name) for name in row.__dataclass_fields__}
        values |= {"release": "r" * 300, "version": None}
        connection.execute(insert(releases).values(**values))
    with pytest.raises(StorageError):
        copy_state(world.url, postgres_url)
    assert set(rows_of(postgres_url).values()) == {0}


def test_nothing_to_copy_is_told(tmp_path, target):
    """A missing file is not made, and an empty database is no state."""
    missing = tmp_path / "nowhere" / "state.db"
    with pytest.raises(NotFoundError):
        copy_state(f"sqlite:///{missing}", target)
    assert not missing.exists()
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with empty.read():
        pass
    empty.close()
    with pytest.raises(NotFoundError):
        copy_state(f"sqlite:///{tmp_path / 'empty.db'}", target)


def test_older_schema_is_upgraded_first(world, target):
    """The copy does not change its source, so somebody else must."""
    world.state.close()
    engine = create_engine(world.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    engine.dispose()
    with pytest.raises(StorageError, match="schema 0000"):
        copy_state(world.url, target)


@pytest.mark.services
def test_command_brings_the_embedded_state_to_postgresql(world, postgres_url, monkeypatch):
    """With the new URL in the settings one command does it, and a second one is refused."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.root))
    monkeypatch.setenv("FLYWHEEL_STATE_URL", postgres_url)
    run = CliRunner().invoke
    forgotten = run(build_app(), ["cycles", world.workload.id])
    assert isinstance(forgotten.exception, ConfigurationError)
    upgraded = run(build_app(), ["state", "upgrade"])
    done = run(build_app(), ["state", "copy"])
    again = run(build_app(), ["state", "copy"])
    assert f"schema {HEAD}, as before" in upgraded.output
    assert "every row is the same" in done.output
    assert world.state.audit.verify()[1][:12] in done.output
    assert isinstance(again.exception, RefusedError)
    assert run(build_app(), ["cycles", world.workload.id]).exit_code == 0
    told = run(build_app(), ["explain", world.workload.id, world.cycle.name])
    assert "unbroken" in told.output


def test_new_state_is_not_begun_beside_one_that_holds_cycles(world, target):
    """Changing the URL alone would forget every champion; after the copy it is taken."""
    with pytest.raises(ConfigurationError, match="holds no cycle") as caught:
        State.open(target, world.clock, before=world.url)
    assert "flywheel state copy" in caught.value.next_step
    copy_state(world.url, target)
    state = State.open(target, world.clock, before=world.url)
    assert state.routes.champion(world.workload.id) == "r1"
    state.close()


def test_new_state_is_begun_where_nothing_was(tmp_path, target, clock):
    """A missing or empty former state is no reason to refuse."""
    State.open(target, clock, before=f"sqlite:///{tmp_path / 'missing.db'}").close()
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    State.open(empty, clock, before=empty).close()
    State.open(target, clock, before=empty).close()


def test_command_without_a_target_says_what_to_set(world, monkeypatch):
    """The embedded state is not copied onto itself."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(world.root))
    done = CliRunner().invoke(build_app(), ["state", "copy"])
    assert isinstance(done.exception, ConfigurationError)
    assert "FLYWHEEL_STATE_URL" in done.exception.next_step
