"""`SharedUse`: what keys use, counted here and exchanged with the other processes of the gateway."""

import threading
from collections import defaultdict
from datetime import UTC, date

from flywheel.clock import Clock
from flywheel.errors import FlywheelError
from flywheel.state.key_use import KeyUse, Used

__all__ = ["SharedUse"]

_Uses = dict[tuple[date, str], Used]


class SharedUse:
    """Count requests and tokens of each key by day (UTC); safe to use from many threads.

    Of the other processes it knows what the last exchange said. What could not be written waits for
    the next one; a process that is killed loses what it counted since its last.

    Args:
        store: adds up what every process counts.
        clock: tells the day.
    """

    def __init__(self, store: KeyUse, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()  # of the three counts
        self._exchanging = threading.Lock()
        self._counted: _Uses = {}
        self._sending: _Uses = {}
        self._known: _Uses = {}
        self._has_read = False

    def count(self, key_id: str, *, requests: int = 0, tokens: int = 0) -> None:
        """Count what a key used now."""
        key = (self._today(), key_id)
        with self._lock:
            self._counted[key] = self._counted.get(key, Used()) + Used(requests, tokens)

    def tokens(self, key_id: str) -> int:
        """Return the tokens that a key used today."""
        key = (self._today(), key_id)
        with self._lock:
            parts = (self._known, self._sending, self._counted)
            return sum(part[key].tokens for part in parts if key in part)

    def exchange(self) -> dict[str, int]:
        """Write what was counted here, and return the requests of others since the last exchange.

        Raises:
            FlywheelError: the store is away; what was counted stays counted.
        """
        with self._exchanging:
            self._send()
            return self._read()

    def _send(self) -> None:
        with self._lock:
            self._sending, self._counted = self._counted, {}
        try:
            if self._sending:
                self._store.add(self._sending)
        except FlywheelError:
            with self._lock:
                self._counted, self._sending = _sum(self._sending, self._counted), {}
            raise
        with self._lock:
            self._known, self._sending = _sum(self._known, self._sending), {}

    def _read(self) -> dict[str, int]:
        today = self._today()
        totals = {(today, key_id): used for key_id, used in self._store.of(today).items()}
        with self._lock:
            known, self._known = self._known, totals
        had_read, self._has_read = self._has_read, True
        if not had_read:  # what was used before this process began drains no rate
            return {}
        others = {
            key[1]: used.requests - known.get(key, Used()).requests for key, used in totals.items()
        }
        return {key_id: count for key_id, count in others.items() if count > 0}

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()


def _sum(*parts: _Uses) -> _Uses:
    total: defaultdict[tuple[date, str], Used] = defaultdict(Used)
    for part in parts:
        for key, used in part.items():
            total[key] += used
    return dict(total)
