from datetime import UTC, datetime, timedelta

import pytest

from flywheel.clock import ManualClock
from flywheel.settings import Settings
from flywheel.state import State
from flywheel.usecases.observe import evaluation_is_due
from flywheel.wiring import Platform
from tests.fakes.review_world import classification

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


class NoNews:
    """A lake in which nothing has happened."""

    def rows(self, *_):
        """Answer the question for news."""
        return [{"measured": None, "traffic": False, "judged": None, "waiting": 0}]


@pytest.mark.parametrize(
    ("since_last", "due"),
    [
        (timedelta(minutes=59), False),
        (timedelta(hours=1), True),
        (timedelta(seconds=-2), False),
        (timedelta(days=-1400), True),
    ],
)
def test_an_evaluation_by_a_clock_that_was_ahead_does_not_hold_up_the_next(
    tmp_path, since_last, due
):
    """Dated 2030, it would otherwise be the last one until then."""
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}", ManualClock(NOW - since_last))
    state.decisions.record(
        "defects", opens=False, reason="nothing new", numbers={"since": "2026-01-01"}
    )
    settings = Settings(home=tmp_path, workloads=tmp_path / "workloads")
    platform = Platform(settings, ManualClock(NOW), lake=NoNews(), state=state)
    assert evaluation_is_due(platform, classification()) is due
    state.close()
