from datetime import UTC, datetime

import pytest

from flywheel.workload.periods import next_period_start, period_name, period_start


@pytest.mark.parametrize(
    ("cadence", "moment", "name", "start", "following"),
    [
        ("quarterly", (2026, 5, 20), "2026Q2", (2026, 4, 1), (2026, 7, 1)),
        ("quarterly", (2026, 12, 31), "2026Q4", (2026, 10, 1), (2027, 1, 1)),
        ("monthly", (2026, 12, 1), "2026M12", (2026, 12, 1), (2027, 1, 1)),
        ("monthly", (2026, 2, 28), "2026M02", (2026, 2, 1), (2026, 3, 1)),
        ("yearly", (2026, 7, 1), "2026", (2026, 1, 1), (2027, 1, 1)),
    ],
)
def test_periods_of_each_cadence(cadence, moment, name, start, following):
    """A period has a name, a first moment and one that follows."""
    at = datetime(*moment, tzinfo=UTC)
    assert period_name(cadence, at) == name
    assert period_start(cadence, at) == datetime(*start, tzinfo=UTC)
    assert next_period_start(cadence, at) == datetime(*following, tzinfo=UTC)


def test_a_period_begins_at_the_local_midnight():
    """Winter and summer time lie an hour apart, the quarter begins at midnight in both."""
    at = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)
    assert period_name("quarterly", at, "Europe/Vienna") == "2026Q2"
    assert period_start("quarterly", at, "Europe/Vienna") == datetime(2026, 3, 31, 22, tzinfo=UTC)
    winter = datetime(2026, 2, 1, tzinfo=UTC)
    assert period_start("quarterly", winter, "Europe/Vienna") == datetime(
        2025, 12, 31, 23, tzinfo=UTC
    )
    assert next_period_start("quarterly", winter, "Europe/Vienna") == datetime(
        2026, 3, 31, 22, tzinfo=UTC
    )
