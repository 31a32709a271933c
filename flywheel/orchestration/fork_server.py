"""The settings of the process from which runs are forked: it imports this module before all others.

What was imported stays in the copies, and no search for garbage there touches it. The process ends
with its code server, and not by a signal to all of them, on which a run may still have to report
its end. A copy takes that signal as any process does; it ends without the steps that an interpreter
takes at its end, so that they are taken here. And it ends with this process: the code server, which
learns of its end from here, would report a run as failed that goes on. Where memory is short, a run
goes first.
"""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing import util
from pathlib import Path

from flywheel.io.garbage import collect_seldom, keep_existing
from flywheel.io.parent_death import end_with_parent

_GOES_FIRST = "300"  # of 1,000 that oom_score_adj takes
_SERVER = os.getpid()
_is_run = False


def _begin(_module: object) -> None:
    global _is_run  # noqa: PLW0603 - of this process, as what follows
    if _is_run:  # a process that a run has forked
        return
    _is_run = True
    if not end_with_parent(_SERVER):
        os.kill(os.getpid(), signal.SIGKILL)
    with suppress(OSError):  # where there is no such file, all are alike
        Path("/proc/self/oom_score_adj").write_text(_GOES_FIRST, encoding="ascii")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Last, behind the queues that a process still empties.
    util.Finalize(None, _end, exitpriority=-100)


def _end() -> None:
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001


def _freeze() -> None:
    if not _is_run:
        keep_existing()


def _end_unless_server(_number: int, _frame: object) -> None:
    # A copy that has not come to `_begin` yet.
    if os.getpid() != _SERVER:
        os._exit(128 + signal.SIGTERM)


collect_seldom()
signal.signal(signal.SIGTERM, _end_unless_server)
os.register_at_fork(before=_freeze)
util.register_after_fork(sys.modules[__name__], _begin)
