"""The one clock: event time, windows, cooldown and expiry all ask it.

Production uses the system's clock; the demo and the tests inject one that they move.
"""

from datetime import UTC, datetime
from typing import Protocol

from flywheel.errors import ConfigurationError

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Tell the time as an aware UTC datetime."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""
        ...


class SystemClock:
    """Read the machine's clock."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)


class ManualClock:
    """Stand still until moved, and never move backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the moment the clock was last moved to."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Move forward to ``moment``; an earlier one is refused."""
        moment = moment.astimezone(UTC)
        if moment < self._now:
            raise ConfigurationError(
                f"The clock stands at {self._now:%Y-%m-%d %H:%M} and cannot go back to "
                f"{moment:%Y-%m-%d %H:%M}.",
                next_step="move it forward only",
            )
        self._now = moment
