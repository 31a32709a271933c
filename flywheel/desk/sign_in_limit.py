"""`SignInLimit`: how often one address may try to sign in, at all processes of the desk together."""

from datetime import timedelta
from typing import TYPE_CHECKING

from flywheel.clock import Clock, SystemClock

if TYPE_CHECKING:
    from datetime import datetime

    from flywheel.wiring import Platform

__all__ = ["SignInLimit"]

_KIND = "attempts"


class SignInLimit:
    """A bucket of attempts per address, kept in the state as the moment at which it is full again.

    Args:
        platform: its state keeps them.
        per_minute: attempts that come back in a minute.
        burst: attempts at once.
        clock: the machine's, also where the deployment plays with time.

    Source: the generic cell rate algorithm (ITU-T I.371).
    """

    def __init__(
        self,
        platform: "Platform",
        per_minute: float = 6.0,
        burst: int = 10,
        clock: Clock | None = None,
    ) -> None:
        self._platform, self._clock = platform, clock or SystemClock()
        self._interval = timedelta(minutes=1 / per_minute)
        self._most = self._interval * (burst - 1)

    def wait(self, address: str) -> float:
        """Take one attempt and return 0, or return the seconds until the next is allowed."""
        now = self._clock.now()
        wait = self._wait(address, now)
        if wait:  # without a lock: who tries again and again is no burden
            return wait
        with self._platform.state.transaction():
            wait = self._wait(address, now)
            if not wait:
                full_at = self._full_at(address, now) + self._interval
                self._platform.state.desk_records.put(_KIND, address, {}, ends_at=full_at, now=now)
        return wait

    def _wait(self, address: str, now: "datetime") -> float:
        return max(0.0, (self._full_at(address, now) - self._most - now).total_seconds())

    def _full_at(self, address: str, now: "datetime") -> "datetime":
        record = self._platform.state.desk_records.find(_KIND, address, now)
        return now if record is None else record[1]
