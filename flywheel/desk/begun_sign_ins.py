"""`BegunSignIns`: browsers on their way to the provider and back, in the state."""

from datetime import timedelta
from typing import TYPE_CHECKING

from flywheel.clock import Clock, SystemClock
from flywheel.desk.refusals import Refusal

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["BegunSignIns"]

_KIND, _MINUTES = "sign-in", 10


class BegunSignIns:
    """Remember where a person wanted to go; each can be taken once, at any process of the desk.

    Args:
        platform: its state keeps them.
        clock: the machine's, also where the deployment plays with time.
    """

    def __init__(self, platform: "Platform", clock: Clock | None = None) -> None:
        self._platform, self._clock = platform, clock or SystemClock()

    def add(self, key: str, target: str) -> None:
        """Remember the sign-in of a cookie's key for ten minutes."""
        now = self._clock.now()
        ends_at = now + timedelta(minutes=_MINUTES)
        facts = {"target": target}
        self._platform.state.desk_records.put(_KIND, key, facts, ends_at=ends_at, now=now)

    def take(self, key: str) -> str:
        """Return where the person wanted to go.

        Raises:
            Refusal: 401 where no sign-in was begun under that key, or too long ago.
        """
        record = self._platform.state.desk_records.take(_KIND, key, self._clock.now())
        if record is None:
            raise Refusal(
                401,
                "This browser has not begun to sign in, or too long ago.",
                "sign in again, or with your personal token",
            )
        return str(record[0]["target"])
