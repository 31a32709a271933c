"""The demo's calendar: fixed dates, cut into windows of half a month."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

__all__ = ["START", "WINDOWS", "DemoWindow"]

START = datetime(2026, 1, 1, tzinfo=UTC)
_MIDDLE = 16


@dataclass(frozen=True)
class DemoWindow:
    """Half a month of traffic; ``number`` counts from 0."""

    number: int
    start: datetime
    end: datetime

    @property
    def title(self) -> str:
        """Dates for people."""
        return f"{self.start:%d %b} to {self.end - timedelta(days=1):%d %b}"

    @property
    def period(self) -> str:
        """Quarter that the window lies in."""
        return f"{self.start.year}Q{(self.start.month - 1) // 3 + 1}"


def _windows() -> tuple[DemoWindow, ...]:
    edges = [
        datetime(2026, month, day, tzinfo=UTC) for month in range(1, 7) for day in (1, _MIDDLE)
    ]
    edges += [datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, _MIDDLE, tzinfo=UTC)]
    pairs = pairwise(edges)
    return tuple(DemoWindow(number, start, end) for number, (start, end) in enumerate(pairs))


WINDOWS = _windows()
