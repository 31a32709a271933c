"""Windows of whole days."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from flywheel.drift.window import Window
from flywheel.errors import ConfigurationError

MONDAY = date(2026, 3, 30)


def test_window_holds_its_start_and_not_its_end():
    """A week has seven days, and is shown by its first and its last."""
    week = Window(MONDAY, MONDAY + timedelta(days=7))
    assert week.days == tuple(MONDAY + timedelta(days=n) for n in range(7))
    assert str(week) == "2026-03-30 to 2026-04-05"
    assert week.back(7).days[-1] == MONDAY - timedelta(days=1)


@pytest.mark.parametrize("days", [0, -1])
def test_window_without_a_day_is_refused(days: int):
    """Its end must lie after its start."""
    with pytest.raises(ConfigurationError, match="holds no day"):
        Window(MONDAY, MONDAY + timedelta(days=days))
    assert Window(MONDAY, MONDAY + timedelta(days=1)).days == (MONDAY,)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 4, 6, tzinfo=UTC),
        datetime(2026, 4, 6, 23, 59, 59, tzinfo=UTC),
        datetime(2026, 4, 7, 1, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_window_before_a_moment_ends_with_the_last_whole_day_in_utc(moment: datetime):
    """The day of the moment is not over, whatever the hour is elsewhere."""
    assert Window.ending(moment, 7) == Window(MONDAY, MONDAY + timedelta(days=7))
