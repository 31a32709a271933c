"""A state on its own database and clock for every test."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flywheel.clock import ManualClock
from flywheel.state import State


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock at the start of the second quarter."""
    return ManualClock(datetime(2026, 4, 1, 6, tzinfo=UTC))


@pytest.fixture
def url(tmp_path) -> str:
    """Return the URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'folder with % sign' / 'state.db'}"


@pytest.fixture
def state(url, clock) -> Iterator[State]:
    """Return an open state whose leases follow the same clock."""
    made = State.open(url, clock, lease_clock=clock)
    yield made
    made.close()
