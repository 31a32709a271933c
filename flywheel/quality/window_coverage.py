"""`WindowCoverage`: which windows of a drift hold only answers of the present release.

A window that began before that release took over was answered by two releases, and a change in it
is in part the change of the release. Such a window is named, is not measured and opens no cycle.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from flywheel.io.records import JsonObject

__all__ = ["WindowCoverage", "first_whole_day"]


def first_whole_day(moment: datetime) -> date:
    """Return the first UTC day that a release answered alone which took over at ``moment``."""
    at = moment.astimezone(UTC)
    return at.date() + timedelta(days=1 if at.time() != datetime.min.time() else 0)


@dataclass(frozen=True)
class WindowCoverage:
    """How many of the last windows before ``until`` can be measured.

    Args:
        needed: windows in a row that a drift needs.
        days: length of a window.
        since: first day that the present release answered alone.
        until: first day after the newest window.
    """

    needed: int
    days: int
    since: date
    until: date

    @classmethod
    def at(
        cls, now: datetime, *, answering_since: datetime, needed: int, days: int
    ) -> "WindowCoverage":
        """Return the coverage of the whole days before ``now``."""
        return cls(needed, days, first_whole_day(answering_since), now.astimezone(UTC).date())

    @property
    def measured(self) -> int:
        """Windows that hold only answers of the present release, at most ``needed``."""
        return max(0, min(self.needed, (self.until - self.since).days // self.days))

    @property
    def complete(self) -> bool:
        """Return whether no window is left out."""
        return self.measured == self.needed

    @property
    def partly_old(self) -> tuple[date, date] | None:
        """Start and end, without the latter, of the newest window that is left out."""
        if self.complete:
            return None
        end = self.until - timedelta(days=self.measured * self.days)
        return end - timedelta(days=self.days), end

    @property
    def complete_on(self) -> date:
        """Return the day from which as many windows as a drift needs can be measured."""
        return self.since + timedelta(days=self.needed * self.days)

    @property
    def sentence(self) -> str:
        """Say which window is left out, and until when; empty where none is."""
        if self.partly_old is None:
            return ""
        start, end = self.partly_old
        last = end - timedelta(days=1)
        return (
            f"{self.measured} of the {self.needed} windows that a drift needs: that of {start} to "
            f"{last} began before {self.since}, the first whole day of the present release, and is "
            f"not measured; from {self.complete_on} on there are {self.needed}"
        )

    def to_dict(self) -> JsonObject:
        """Return plain data for `--json`, decisions and metadata."""
        left_out = self.partly_old
        return {
            "windows_needed": self.needed,
            "windows_measured": self.measured,
            "window_days": self.days,
            "measured_since": self.since.isoformat(),
            "complete_on": self.complete_on.isoformat(),
            "left_out": None
            if left_out is None
            else {"start": left_out[0].isoformat(), "end": left_out[1].isoformat()},
        }
