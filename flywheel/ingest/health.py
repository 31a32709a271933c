"""Is a long-lived ingest process well? A verdict from what its loop told, asked by another thread."""

import time
from collections.abc import Callable

__all__ = ["Health"]

_FAILURES = 3
_STUCK_SECONDS = 60.0


class Health:
    """Healthy while the loop runs and its work succeeds; unhealthy after repeated failures or when stuck.

    A round that merely polled does not make up for a failure: only a landing does, or having
    nothing to land.
    """

    def __init__(
        self,
        *,
        failures: int = _FAILURES,
        stuck_seconds: float = _STUCK_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start unhealthy, until the first round.

        Args:
            failures: failures in a row from which the process counts as unhealthy.
            stuck_seconds: time without a finished round from which it counts as stuck.
            monotonic: seconds that never go back.
        """
        self.failures = 0
        self._allowed = failures
        self._stuck_seconds = stuck_seconds
        self._monotonic = monotonic
        self._turned_at: float | None = None
        self._reason = ""

    def mark_round(self) -> None:
        """Record that the loop finished a round, whatever its result."""
        self._turned_at = self._monotonic()

    def succeeded(self) -> None:
        """Record that something landed, or that there was nothing to land."""
        self.failures = 0
        self.mark_round()

    def failed(self, reason: str) -> None:
        """Record a failure that will be retried."""
        self._reason = reason
        self.failures += 1
        self.mark_round()

    def problem(self) -> str | None:
        """Return why the process is not well, None when it is."""
        if self.failures >= self._allowed:
            return f"{self.failures} failures in a row, the last: {self._reason}"
        if self._turned_at is None:
            return "not started yet"
        still = self._monotonic() - self._turned_at
        if still > self._stuck_seconds:
            return f"stuck: no round was finished for {still:.0f} s"
        return None
