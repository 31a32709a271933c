"""`poll`: ask until a limit; `Patience`: a limit that a busy machine extends, for its own programs.

A limit in plain seconds fails a healthy start on a machine that is busy with something else. Here
a second in which some process had to wait for a processor counts for less, down to a fifth, so
that the limit is still reached. Linux measures that wait as pressure stall information (PSI,
``/proc/pressure/cpu``); where the kernel does not report it, every second counts fully.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["Deadline", "Patience", "poll"]

Result = TypeVar("Result")

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


class Deadline:
    """A limit in plain seconds, for waits on other machines."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the limit has been reached."""
        return time.monotonic() > self._end


def poll(
    condition: Callable[[], Result],
    limit: Patience | Deadline,
    *,
    pause: float,
    longest_pause: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Result:
    """Ask a condition until its answer is true or the limit is reached, and return the last answer.

    Args:
        condition: asked at least once.
        limit: when to give up.
        pause: seconds between two questions.
        longest_pause: where the pauses end that grow by half each time; None: they do not grow.
        check: raises where the condition can no longer come true.
    """
    while not (answer := condition()):
        check()
        if limit.is_over:
            break
        time.sleep(pause)
        if longest_pause is not None:
            pause = min(1.5 * pause, longest_pause)
    return answer
