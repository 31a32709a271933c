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
    assert state.inbox.pending() == {}
    state.inbox.put([("parts", "ANNOTATION_CREATED"), ("other", "TASKS_DELETED")])
    state.inbox.put([("parts", "ANNOTATION_CREATED")])
    seen = state.inbox.pending()["parts"]
    assert (seen.count, seen.actions) == (2, frozenset({"ANNOTATION_CREATED"}))
    state.inbox.put([("parts", "ANNOTATIONS_DELETED")])
    state.inbox.finish("parts", seen.newest)
    left = state.inbox.pending()
    newest = left["parts"].newest
    assert left["parts"] == PendingHints(newest, 1, frozenset({"ANNOTATIONS_DELETED"}))
    assert newest > seen.newest
    assert left["other"].count == 1
    state.inbox.finish("parts", newest)
    assert set(state.inbox.pending()) == {"other"}


def test_no_hints_are_no_write(state):
    """An empty list is taken and leaves nothing."""
    state.inbox.put([])
    assert state.inbox.pending() == {}


def test_old_finished_hints_go_and_unfinished_ones_stay(state, clock):
    """After a week a finished one is gone; one that nobody looked at waits for ever."""
    state.inbox.put([("parts", "OTHER"), ("idle", "OTHER")])
    state.inbox.finish("parts", state.inbox.pending()["parts"].newest)
    clock.move_to(clock.now() + timedelta(days=30))
    state.inbox.put([("parts", "OTHER")])
    state.inbox.finish("parts", state.inbox.pending()["parts"].newest)
    assert set(state.inbox.pending()) == {"idle"}
    assert _rows(state) == 2


def test_a_state_from_before_the_inbox_gets_one(url, clock, state):
    """A state of the first schema is brought forward when it is opened, with what it held."""
    state.decisions.record("parts", opens=False, reason="too early", numbers={})
    with state._database.write() as connection:
        config = Config()
        config.set_main_option("script_location", _MIGRATIONS.replace("%", "%%"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    again = State.open(url, clock)
    again.inbox.put([("parts", "OTHER")])
    assert again.inbox.pending()["parts"].count == 1
    assert [decision.reason for decision in again.decisions.of("parts")] == ["too early"]
    again.close()


def _rows(state) -> int:
    from sqlalchemy import func, select

    from flywheel.state.schema import webhook_inbox

    with state._database.read() as connection:
        return connection.execute(select(func.count()).select_from(webhook_inbox)).scalar_one()
