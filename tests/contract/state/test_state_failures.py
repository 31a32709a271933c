"""What goes wrong at a database comes out in Flywheel's words, without the password."""

import socket
import subprocess
import sys
import traceback
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, make_url, text

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    FlywheelError,
    StorageError,
    UnavailableError,
)
from flywheel.state import State, database
from tests.fakes.release_world import make_workload

_PASSWORD = "hush-hush"  # noqa: S105 - a wrong one


def told(error: FlywheelError) -> str:
    """Return everything that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + error.next_step


def with_changes(url: str, **changes) -> str:
    return make_url(url).set(**changes).render_as_string(hide_password=False)


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_server_that_is_away_is_named_without_its_password(clock, free_port, monkeypatch):
    """After some patience the error is transient and says host, port and database."""
    monkeypatch.setattr(database, "_AWAY_SECONDS", 0.5)
    url = f"postgresql://ann:{_PASSWORD}@127.0.0.1:{free_port}/flywheel"
    with pytest.raises(UnavailableError) as caught:
        State.open(url, clock)
    assert f"PostgreSQL database flywheel at 127.0.0.1:{free_port}" in caught.value.message
    assert "services status" in caught.value.next_step
    assert _PASSWORD not in told(caught.value)


@pytest.mark.services
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"password": _PASSWORD}, "password authentication failed"),
        ({"database": "nowhere"}, '"nowhere" does not exist'),
        ({"username": "nobody", "password": _PASSWORD}, "authentication failed"),
    ],
)
def test_wrong_login_is_told_at_once(postgres_url, clock, changes, word):
    """A refusal is not waited for: it does not pass by itself."""
    with pytest.raises(ConfigurationError, match=word) as caught:
        State.open(with_changes(postgres_url, **changes), clock)
    assert "FLYWHEEL_STATE_URL" in caught.value.next_step
    assert _PASSWORD not in told(caught.value)
    assert str(make_url(postgres_url).password) not in told(caught.value)


@pytest.mark.services
def test_user_who_may_not_create_is_told_so(postgres_url, clock):
    """Migrations need a privilege, which the message names."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM pg_database_owner"))
    engine.dispose()
    with pytest.raises(ConfigurationError, match="permission denied") as caught:
        State.open(postgres_url, clock)
    assert "CREATE" in caught.value.next_step


@pytest.mark.services
def test_writer_that_does_not_get_its_turn_is_told_so(postgres_url, clock, monkeypatch):
    """A lock that somebody keeps makes the others try again later."""
    monkeypatch.setattr(database, "_BUSY_SECONDS", 1)
    state = State.open(postgres_url, clock)
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({database._TURN})"))
        with pytest.raises(UnavailableError, match="lock timeout"):
            state.audit.append("e", "s", "a")
        assert state.audit.of() == []  # readers wait for nobody
    engine.dispose()
    state.audit.append("e", "s", "a")
    state.close()


def test_value_that_is_no_json_is_refused(state):
    """No database is given a number that the other one could not read."""
    with pytest.raises(StorageError, match="cannot be kept"):
        state.decisions.record("w", opens=False, reason="", numbers={"psi": float("nan")})
    assert state.decisions.of("w") == []


@pytest.mark.services
@pytest.mark.parametrize("actor", ["a\x00b", "x" * 201])
def test_text_that_postgresql_does_not_take_is_refused(postgres_url, clock, actor):
    """A zero byte and an endless name are no vendor errors."""
    state = State.open(postgres_url, clock)
    with pytest.raises(StorageError):
        state.audit.append("e", "s", actor)
    assert state.audit.verify()[0] == 0
    state.close()


def test_broken_rule_of_the_database_is_translated(state, url, clock):
    """Where a writer did not keep to the turns, the unique index still holds: try again."""
    workload = make_workload("w")
    how = {"opened_by": "system", "reason": "", "snapshot": {}}
    state.cycles.open(workload, trigger="drift", watermark=clock.now(), **how)
    with pytest.raises(ConcurrencyError, match="same row"):
        insert_second_open_cycle(state, clock.now() + timedelta(1))
    with pytest.raises(StorageError, match="forbids"):
        state.releases.record(
            "r1",
            cycle=CycleRef("nobody", "2026Q2-1"),
            attempt=1,
            manifest_digest="m",
            adapter="",
            dataset_hash="",
        )


def insert_second_open_cycle(state: State, watermark) -> None:
    from sqlalchemy import insert

    from flywheel.state.schema import cycles

    row = {"trigger": "volume", "trigger_key": "k", "opened_by": "", "status": "open"}
    row |= {"attempt": 1, "numbers": {}, "snapshot": {}, "opened_at": watermark}
    row |= {"changed_at": watermark, "workload_id": "w", "cycle": "other", "period": "p"}
    with state._database.write() as connection:
        connection.execute(insert(cycles).values(**row, number=9, watermark=watermark))


_OPEN = """
import sys
from flywheel.clock import SystemClock
from flywheel.state import State
State.open(sys.argv[1], SystemClock()).close()
print("alembic" in sys.modules)
"""


def test_state_at_the_newest_schema_needs_no_alembic(state, url, repository):
    """Opening costs no import of the migrations, on either database."""
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, url], cwd=repository, check=True, capture_output=True
    )
    assert done.stdout.strip() == b"False"


@pytest.mark.services
def test_connection_that_the_server_dropped_is_replaced(postgres_url, clock):
    """A pooled connection that died unseen costs nobody an error."""
    state = State.open(postgres_url, clock)
    state.audit.append("one", "s", "a")
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ended = connection.execute(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'flywheel'"
            )
        ).scalar()
    engine.dispose()
    assert ended >= 1
    state.audit.append("two", "s", "a")
    assert state.audit.verify()[0] == 2
    state.close()


@pytest.mark.services
def test_connection_lost_in_a_transaction_leaves_nothing(postgres_url, clock):
    """Half a transaction is taken back, and the error says that it may pass."""
    state = State.open(postgres_url, clock)
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")

    def lose() -> None:
        with state.transaction():
            state.audit.append("half", "s", "a")
            with engine.connect() as connection:
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND application_name = 'flywheel'"
                    )
                )
            state.audit.append("whole", "s", "a")

    with pytest.raises(UnavailableError):
        lose()
    engine.dispose()
    assert state.audit.of() == []
    state.close()
