"""`end_with_parent`: a process that the kernel ends when the one that started it is gone."""

import ctypes
import os
import signal
import sys

__all__ = ["end_with_parent"]

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def end_with_parent(parent: int) -> bool:
    """Have this process killed when its parent ends, which may be by a signal that nobody handles.

    Linux alone does that; elsewhere a parent that is killed leaves this process running.

    Args:
        parent: process id of the one that started this process.

    Returns:
        False where the parent is gone already: nobody kills this process then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent
