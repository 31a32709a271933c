"""Ranges of whole days, in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flywheel.errors import ConfigurationError

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """The days from ``start`` up to, without, ``end``."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ConfigurationError(
                f"A window from {self.start} to {self.end} holds no day.",
                next_step="give an end after the start",
            )

    @classmethod
    def ending(cls, moment: datetime, days: int) -> "Window":
        """Return the last ``days`` whole days before a moment."""
        end = moment.astimezone(UTC).date()
        return cls(end - timedelta(days=days), end)

    @property
    def days(self) -> tuple[date, ...]:
        """Every day of the window."""
        return tuple(self._iterate())

    def back(self, days: int) -> "Window":
        """Return the window of the same length that lies ``days`` earlier."""
        return Window(self.start - timedelta(days=days), self.end - timedelta(days=days))

    def to_dict(self) -> dict[str, str]:
        """Return plain data for ledgers and metadata."""
        return {"start": self.start.isoformat(), "end": self.end.isoformat()}

    def __str__(self) -> str:
        return f"{self.start} to {self.end - timedelta(days=1)}"

    def _iterate(self) -> Iterator[date]:
        day = self.start
        while day < self.end:
            yield day
            day += timedelta(days=1)
