"""`Sessions`: who is signed in, in the memory of this process.

A session ends by signing out, by time, when the person is revoked or gets another token, and when
the desk is started again.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Session", "Sessions"]

_HOURS = 8
_MOST = 1000


@dataclass(frozen=True)
class Session:
    """One browser that is signed in; ``secret`` seals its forms and never leaves the process."""

    key: str
    name: str
    token_id: str
    secret: str
    ends_at: float


class Sessions:
    """Open, find and close sessions; safe to use from many threads.

    Args:
        seconds: how long a session lasts.
        monotonic: seconds that never go back.
    """

    def __init__(
        self, seconds: float = _HOURS * 3600.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds, self._monotonic = seconds, monotonic
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self, name: str, token_id: str) -> Session:
        """Start a session under a new key; the oldest one ends where there are too many."""
        now = self._monotonic()
        session = Session(
            secrets.token_urlsafe(32),
            name,
            token_id,
            secrets.token_urlsafe(32),
            now + self._seconds,
        )
        with self._lock:
            current = {key: one for key, one in self._sessions.items() if one.ends_at > now}
            while len(current) >= _MOST:
                del current[next(iter(current))]
            self._sessions = current | {_digest(session.key): session}
        return session

    def find(self, key: str) -> Session | None:
        """Return the session of a cookie's key, None where it is unknown or over."""
        # By digest, so that the time of the look-up says nothing about a key.
        with self._lock:
            session = self._sessions.get(_digest(key))
        return session if session is not None and session.ends_at > self._monotonic() else None

    def close(self, key: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(key), None)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
