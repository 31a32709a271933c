"""Run a program so that everything it started ends with it, however it ends.

vLLM's engine keeps running, with all its memory, when the process that answers HTTP is killed. Run as
``python -P FILE COMMAND...``; the supervisor signals the whole group, so signals are not passed on.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

__all__ = ["FILE", "main"]

FILE = __file__


def main(command: Sequence[str]) -> int:
    """Run the command in this process's group, then end the rest of the group."""
    if os.getpgrp() != os.getpid():
        os.setpgrp()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    code = subprocess.Popen(command).wait()  # noqa: S603 - our own arguments
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if process.pid != os.getpid() and os.getpgid(process.pid) == os.getpid():
                process.kill()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
