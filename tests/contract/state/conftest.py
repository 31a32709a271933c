"""A state on its own database and clock for every test, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flywheel.clock import ManualClock
from flywheel.state import State


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock at the start of the second quarter."""
    return ManualClock(datetime(2026, 4, 1, 6, tzinfo=UTC))


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services("postgres"))]
)
def url(request, tmp_path) -> str:
    """Return the URL of a database that holds nothing yet."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'folder with % sign' / 'state.db'}"


@pytest.fixture
def state(url, clock) -> Iterator[State]:
    """Return an open state whose leases follow the same clock."""
    made = State.open(url, clock, lease_clock=clock)
    yield made
    made.close()
