"""The settings of the process from which runs are forked: it imports this module before all others.

What was imported stays in the copies, and no search for garbage there touches it. The process ends
with its code server, and not by a signal to all of them, on which a run may still have to report
its end. A copy takes that signal as any process does; it ends without the steps that an interpreter
takes at its end, so that what was registered for that is called. And it ends with this process: the
code server, which learns of its end from here, would report a run as failed that goes on.
"""

import atexit
import ctypes
import gc
import os
import signal
import sys
from multiprocessing import util

from flywheel.io.garbage import collect_seldom

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_SERVER = os.getpid()


def _begin(_module: object) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != _SERVER:
        os.kill(os.getpid(), signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Last, behind the queues that a process still empties.
    util.Finalize(None, atexit._run_exitfuncs, exitpriority=-100)  # noqa: SLF001


collect_seldom()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(before=gc.freeze)
util.register_after_fork(sys.modules[__name__], _begin)
