"""`Sessions`: who is signed in, in the state, so that each process of the desk knows it.

A session ends by signing out, by time, and when the person is revoked or gets another token.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from flywheel.clock import Clock, SystemClock

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["Session", "Sessions", "derived_secret"]

_HOURS = 8
_KIND = "session"


@dataclass(frozen=True)
class Session:
    """One browser that is signed in; ``key`` is known to its cookie alone."""

    key: str
    name: str
    token_id: str

    @property
    def secret(self) -> str:
        """What seals its forms: it follows from the key, and says nothing about it."""
        return derived_secret("form", self.key)


class Sessions:
    """Open, find and close sessions; safe to use from many threads and processes.

    Args:
        platform: its state keeps them.
        seconds: how long a session lasts.
        clock: the machine's, also where the deployment plays with time.
    """

    def __init__(
        self,
        platform: "Platform",
        seconds: float = _HOURS * 3600.0,
        clock: Clock | None = None,
    ) -> None:
        self._platform, self._seconds = platform, seconds
        self._clock = clock or SystemClock()

    def open(self, name: str, token_id: str) -> Session:
        """Start a session under a new key; the oldest one ends where there are too many."""
        session, now = Session(secrets.token_urlsafe(32), name, token_id), self._clock.now()
        facts = {"name": name, "token_id": token_id}
        ends_at = now + timedelta(seconds=self._seconds)
        self._platform.state.desk_records.put(_KIND, session.key, facts, ends_at=ends_at, now=now)
        return session

    def find(self, key: str) -> Session | None:
        """Return the session of a cookie's key, None where it is unknown or over."""
        if not key:
            return None
        record = self._platform.state.desk_records.find(_KIND, key, self._clock.now())
        return None if record is None else Session(key, record[0]["name"], record[0]["token_id"])

    def close(self, key: str) -> None:
        """End a session."""
        if key:
            self._platform.state.desk_records.remove(_KIND, key)


def derived_secret(purpose: str, key: str) -> str:
    """Return a secret that follows from a random key, other for each purpose: 64 hex digits."""
    return hashlib.sha256(f"flywheel-desk\x1f{purpose}\x1f{key}".encode()).hexdigest()
