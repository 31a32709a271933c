"""The webhook inbox on SQLite and PostgreSQL: a hint stays until somebody looked after it came."""

from datetime import timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config

from flywheel import state as package
from flywheel.state import PendingHints, State

_MIGRATIONS = str(Path(package.__file__).parent / "migrations")


def test_hints_wait_until_they_are_finished(state):
    """Each workload has its own; what came after the look stays."""
    assert state.pending_hints() == {}
    state.put_hints([("parts", "ANNOTATION_CREATED"), ("other", "TASKS_DELETED")])
    state.put_hints([("parts", "ANNOTATION_CREATED")])
    seen = state.pending_hints()["parts"]
    assert (seen.count, seen.actions) == (2, frozenset({"ANNOTATION_CREATED"}))
    state.put_hints([("parts", "ANNOTATIONS_DELETED")])
    state.finish_hints("parts", seen.newest)
    left = state.pending_hints()
    newest = left["parts"].newest
    assert left["parts"] == PendingHints(newest, 1, frozenset({"ANNOTATIONS_DELETED"}))
    assert newest > seen.newest
    assert left["other"].count == 1
    state.finish_hints("parts", newest)
    assert set(state.pending_hints()) == {"other"}


def test_no_hints_are_no_write(state):
    """An empty list is taken and leaves nothing."""
    state.put_hints([])
    assert state.pending_hints() == {}


def test_old_finished_hints_go_and_unfinished_ones_stay(state, clock):
    """After a week a finished one is gone; one that nobody looked at waits for ever."""
    state.put_hints([("parts", "OTHER"), ("idle", "OTHER")])
    state.finish_hints("parts", state.pending_hints()["parts"].newest)
    clock.move_to(clock.now() + timedelta(days=30))
    state.put_hints([("parts", "OTHER")])
    state.finish_hints("parts", state.pending_hints()["parts"].newest)
    assert set(state.pending_hints()) == {"idle"}
    assert _rows(state) == 2


def test_a_state_from_before_the_inbox_gets_one(url, clock, state):
    """A state of the first schema is brought forward when it is opened, with what it held."""
    state.record_decision("parts", opens=False, reason="too early", numbers={})
    with state._database.write() as connection:
        config = Config()
        config.set_main_option("script_location", _MIGRATIONS.replace("%", "%%"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    again = State.open(url, clock)
    again.put_hints([("parts", "OTHER")])
    assert again.pending_hints()["parts"].count == 1
    assert [decision.reason for decision in again.decisions("parts")] == ["too early"]
    again.close()


def _rows(state) -> int:
    from sqlalchemy import func, select

    from flywheel.state.schema import webhook_inbox

    with state._database.read() as connection:
        return connection.execute(select(func.count()).select_from(webhook_inbox)).scalar_one()
