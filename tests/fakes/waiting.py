"""`wait_until`: the one way in which tests wait for what another process or thread does."""

import time
from collections.abc import Callable
from typing import Any

from flywheel.io.patience import Patience

__all__ = ["wait_until"]

# Looks take at most this share of a core from what is waited for.
_LOOKING = 0.05


def wait_until(
    met: Callable[[], Any],
    what: str = "it",
    *,
    seconds: float = 300.0,
    pause: float = 0.1,
    alive: Any = None,
    said: Callable[[], object] = str,
) -> Any:
    """Wait until something is the case and return what it was; fail with what was waited for.

    Args:
        met: asked again and again; anything true ends the wait.
        what: is waited for, in the message of the failure.
        seconds: of patience, less those in which a busy machine let processes wait.
        pause: seconds between two looks, longer where a look is costly.
        alive: a process without which it will never be; its end ends the wait.
        said: what else a reader of the failure must know.
    """
    patience, began = Patience(seconds), time.thread_time()
    while not (value := met()):
        took = time.thread_time() - began
        assert not patience.is_over, f"after {seconds:g} s still not: {what} {said()}"
        assert alive is None or alive.poll() is None, f"a program ended while waiting: {what}"
        time.sleep(max(pause, took / _LOOKING))
        began = time.thread_time()
    return value
