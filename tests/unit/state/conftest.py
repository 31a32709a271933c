"""A clock for tests of the state that need no database server."""

from datetime import UTC, datetime

import pytest

from flywheel.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock at the start of the second quarter."""
    return ManualClock(datetime(2026, 4, 1, 6, tzinfo=UTC))
