"""`RateLimit`: a bucket of tokens that fills steadily."""

import math
import threading
import time
from collections.abc import Callable

__all__ = ["RateLimit"]


class RateLimit:
    """A bucket of tokens, one for each call; safe to use from many threads.

    Args:
        per_second: How fast it fills.
        burst: How much it holds.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self, per_second: float, burst: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._burst, self._monotonic = per_second, burst, monotonic
        self._tokens, self._at = float(burst), monotonic()
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Take one token; False when there is none."""
        return self.wait() == 0

    def wait(self) -> float:
        """Take one token and return 0, or return the seconds until there is one."""
        with self._lock:
            self._fill()
            if self._tokens >= 1:
                self._tokens -= 1
                return 0.0
            return (1 - self._tokens) / self._rate if self._rate else math.inf

    def drain(self, count: int) -> None:
        """Take what others used of the same limit: beyond none, at most a bucket is owed."""
        with self._lock:
            self._fill()
            self._tokens = max(-float(self._burst), self._tokens - count)

    def _fill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
