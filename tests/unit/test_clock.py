from datetime import UTC, datetime, timedelta, timezone

import pytest

from flywheel.clock import ManualClock, SystemClock
from flywheel.errors import ConfigurationError

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_manual_clock_stands_still_until_moved():
    """Time passes only when it is told to."""
    clock = ManualClock(START)
    assert clock.now() == clock.now() == START
    clock.move_to(START + timedelta(days=1))
    assert clock.now() == START + timedelta(days=1)


def test_a_manual_clock_never_goes_back():
    """Windows and cooldowns rely on it."""
    clock = ManualClock(START)
    with pytest.raises(ConfigurationError, match="cannot go back"):
        clock.move_to(START - timedelta(seconds=1))
    clock.move_to(START)


def test_clocks_tell_utc():
    """Another zone is converted, not taken as it is."""
    east = timezone(timedelta(hours=2))
    assert ManualClock(START.astimezone(east)).now().utcoffset() == timedelta(0)
    assert SystemClock().now().utcoffset() == timedelta(0)
