"""Pytest plugin: the time limit of a test counts seconds of a machine that is not busy.

pytest-timeout sets and reports the limit; here its timer asks a `Patience` twice a second, so that
a slow or busy machine makes a test slower and never red, and a test that hangs still ends with its
name and its stack.
"""

import signal
from typing import Any

import pytest
from pytest_timeout import Settings, timeout_sigalrm

from flywheel.io.patience import Patience

_LOOK_SECONDS = 0.5


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Settings) -> bool:
    """Start the timer of a test."""
    patience = Patience(settings.timeout)

    def look(_number: int, _frame: Any) -> None:
        __tracebackhide__ = True
        if patience.is_over:
            timeout_sigalrm(item, settings)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_SECONDS, _LOOK_SECONDS)
    return True
