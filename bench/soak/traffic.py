"""When the events of a soak happened, and which of them are broken."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

__all__ = ["Traffic"]


@dataclass(frozen=True)
class Traffic:
    """The events of one producer.

    Attributes:
        count: how many there are.
        days: whole days before today over which they are spread; 0: each is of its moment.
        broken_every: one of so many is cut off in its middle and lands as a dead letter; 0: none.
    """

    count: int
    days: int = 0
    broken_every: int = 0

    @property
    def broken(self) -> int:
        """How many are broken."""
        return -(-self.count // self.broken_every) if self.broken_every else 0

    def together(self, most: int) -> int:
        """Return how many are sent with one moment, so that each day gets some."""
        return max(1, min(most, self.count // (10 * self.days))) if self.days else most

    def moment(self, index: int, now: datetime) -> datetime:
        """Return when an event happened."""
        if not self.days:
            return now
        begin = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        return begin - timedelta(days=self.days) * (1 - index / self.count)

    def value(self, index: int, whole: bytes) -> bytes:
        """Return what is sent for an event, which may be broken."""
        is_broken = bool(self.broken_every) and index % self.broken_every == 0
        return whole[: len(whole) // 2] if is_broken else whole
