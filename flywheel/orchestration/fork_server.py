"""The settings of the process from which runs are forked: it imports this module before all others.

What was imported stays in the copies, and no search for garbage there touches it. The process ends
with its code server, and not by a signal to all of them, on which a run may still have to report
its end. A copy takes that signal as any process does; it ends without the steps that an interpreter
takes at its end, so that what was registered for that is called.
"""

import atexit
import gc
import os
import signal
import sys
from multiprocessing import util

from flywheel.io.garbage import collect_seldom


def _begin(_module: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Last, behind the queues that a process still empties.
    util.Finalize(None, atexit._run_exitfuncs, exitpriority=-100)  # noqa: SLF001


collect_seldom()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(before=gc.freeze)
util.register_after_fork(sys.modules[__name__], _begin)
