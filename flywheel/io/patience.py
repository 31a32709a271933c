"""`Patience`: a time limit that a busy machine extends, for waits on programs of this machine.

A limit in plain seconds fails a healthy start on a machine that is busy with something else. Here
a second in which some process had to wait for a processor counts for less, down to a fifth, so
that the limit is still reached. Linux measures that wait as pressure stall information (PSI,
``/proc/pressure/cpu``); where the kernel does not report it, every second counts fully.
"""

import time
from pathlib import Path

__all__ = ["Patience"]

_PRESSURE = Path("/proc/pressure/cpu")
_LEAST = 0.2


def _stalled_seconds() -> float | None:
    # "some avg10=98.12 avg60=89.50 avg300=45.39 total=210758997": microseconds since the boot.
    try:
        line = _PRESSURE.read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return None
    return int(line.rpartition("total=")[2]) / 1e6


class Patience:
    """A limit of so many seconds of a machine that is not busy with anything else.

    Ask `is_over` regularly: the time since the last call is weighed as a whole.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._spent = 0.0
        self._at, self._stalled = time.monotonic(), _stalled_seconds()

    @property
    def is_over(self) -> bool:
        """Whether the limit has been reached."""
        return self.spent >= self.seconds

    @property
    def spent(self) -> float:
        """Seconds counted since the start."""
        at, stalled = time.monotonic(), _stalled_seconds()
        passed = at - self._at
        waited = 0.0 if stalled is None or self._stalled is None else stalled - self._stalled
        self._spent += max(_LEAST * passed, passed - waited)
        self._at, self._stalled = at, stalled
        return self._spent
