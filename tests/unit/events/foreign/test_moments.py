"""Times of every unit and form, and none that is invented."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from flywheel.errors import EventError
from flywheel.events.foreign import read_moment

_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        1772366400, 1772366400.0, 1772366400000, 1772366400000000, 1772366400000000000,
        "1772366400", "1772366400000", " 1772366400.0 ", "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00+01:00", "2026-03-01 12:00:00 UTC", "20260301T120000Z",
        "2026-03-01T12:00:00.000000000Z", "Sun, 01 Mar 2026 12:00:00 GMT",
    ],
)  # fmt: skip
def test_a_time_is_understood_by_its_size_and_form(value):
    """Seconds, milli-, micro-, nanoseconds, digits as text, ISO, e-mail."""
    assert read_moment(value) == (_NOON, True)


def test_a_time_without_a_zone_takes_the_given_one():
    """And says that it had none."""
    berlin = ZoneInfo("Europe/Berlin")
    assert read_moment("2026-03-01 13:00", berlin) == (_NOON, False)
    assert read_moment("2026-03-01", berlin)[0].isoformat() == "2026-02-28T23:00:00+00:00"


def test_nanoseconds_keep_their_microseconds():
    """A double would lose them."""
    assert read_moment(1772366400123456789)[0].microsecond == 123456


@pytest.mark.parametrize(
    "value",
    ["garbage", "", 12, -1, True, None, [], {}, 1e300, float("inf"), 10**4000, "9" * 5000,
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01", "1999-12-31"],
)  # fmt: skip
def test_what_is_no_time_is_a_dead_letter(value):
    """Its reason shows what it looks like, and never too much of it."""
    with pytest.raises(EventError, match="is not a time between 2000 and 2200") as caught:
        read_moment(value)
    assert caught.value.reason == "bad_timestamp"
    assert len(caught.value.message) < 250
