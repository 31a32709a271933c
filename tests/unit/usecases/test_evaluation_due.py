from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from flywheel.clock import ManualClock
from flywheel.usecases.observe import evaluation_is_due
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
def test_an_evaluation_by_a_clock_that_was_ahead_does_not_hold_up_the_next(since_last, due):
    """Dated 2030, it would otherwise be the last one until then."""
    decision = SimpleNamespace(decided_at=NOW - since_last, numbers={"since": "2026-01-01"})
    state = SimpleNamespace(decisions=SimpleNamespace(of=lambda _: [decision]))
    platform = SimpleNamespace(state=state, clock=ManualClock(NOW), lake=NoNews())
    assert evaluation_is_due(platform, classification()) is due
