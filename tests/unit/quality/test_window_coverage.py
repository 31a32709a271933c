from datetime import UTC, date, datetime, timedelta

import pytest

from flywheel.quality.window_coverage import WindowCoverage, first_whole_day

NOW = datetime(2026, 5, 20, 6, tzinfo=UTC)


def _coverage(days_ago: float) -> WindowCoverage:
    since = NOW.replace(hour=0) - timedelta(days=days_ago)
    return WindowCoverage.at(NOW, answering_since=since, needed=2, days=7)


@pytest.mark.parametrize(
    ("days_ago", "measured"),
    [(0, 0), (6, 0), (7, 1), (7.5, 1), (6.9, 0), (13.9, 1), (14, 2), (100, 2), (-3, 0)],
)
def test_only_windows_after_the_first_whole_day_are_measured(days_ago, measured):
    """The day on which a release took over was answered by two, and begins no window."""
    assert _coverage(days_ago).measured == measured


def test_the_window_that_is_left_out_is_named():
    """With its days, why, and when there are enough."""
    coverage = _coverage(8.5)
    assert coverage.partly_old == (date(2026, 5, 6), date(2026, 5, 13))
    assert coverage.sentence == (
        "1 of the 2 windows that a drift needs: that of 2026-05-06 to 2026-05-12 began before "
        "2026-05-12, the first whole day of the present release, and is not measured; "
        "from 2026-05-26 on there are 2"
    )
    assert _coverage(14).sentence == ""
    assert _coverage(14).to_dict()["left_out"] is None


def test_midnight_begins_a_whole_day():
    """A promotion at midnight mixes no day."""
    assert first_whole_day(datetime(2026, 5, 6, tzinfo=UTC)) == date(2026, 5, 6)
    assert first_whole_day(datetime(2026, 5, 6, 0, 1, tzinfo=UTC)) == date(2026, 5, 7)
