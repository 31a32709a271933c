"""`exclusive`: a lock between processes that ends with the process which holds it.

The lock is the kernel's (flock), so that nothing has to be cleaned up after a crash. The lock file
names its holder to the process that waits or is refused.
"""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from flywheel.errors import ConcurrencyError, FlywheelError

__all__ = ["exclusive", "holder_of"]

_POLL_SECONDS = 0.02
# Most locks are free again by then; a longer wait is worth a line.
_SILENT_SECONDS = 1.0


@contextmanager
def exclusive(
    path: Path,
    *,
    wait: bool = True,
    on_wait: Callable[[str], None] = lambda _: None,
    refusal: Callable[[ConcurrencyError], FlywheelError] = lambda error: error,
) -> Iterator[None]:
    """Hold a lock for the block; the folder of its file is made, and the file stays.

    Args:
        path: the lock file, which holds nothing else.
        wait: until it is free, as long as that takes.
        on_wait: given one line that names the holder, after a second of waiting.
        refusal: returns what is raised where ``wait`` is off, with the caller's own words.

    Raises:
        ConcurrencyError: another process holds it, and ``wait`` is off.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    # Where a file system has no flock, an existence lock would outlive its process: an error then.
    lock = FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
    try:
        lock.acquire(timeout=_SILENT_SECONDS if wait else 0)
    except Timeout:
        holder = holder_of(path)
        if not wait:
            held = ConcurrencyError(
                f"{holder} holds {path}.", next_step="wait for it, then try again"
            )
            raise refusal(held) from None
        on_wait(f"waiting for {holder} ({path})")
        lock.acquire()
    try:
        _name_holder(path)
        yield
    finally:
        lock.release()


def holder_of(path: Path) -> str:
    """Say which process took a lock last: of one that is held, its holder."""
    import psutil

    try:
        facts = json.loads(path.read_bytes())
        pid, host, since = int(facts["pid"]), str(facts["host"]), str(facts["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
    if host != socket.gethostname():
        return f"process {pid} of {host}, since {since}"
    try:
        command = " ".join(" ".join(psutil.Process(pid).cmdline()).split())[:120]
    except psutil.Error:
        return f"a child of process {pid}, which has ended"
    return f"process {pid} (`{command}`), since {since}"


def _name_holder(path: Path) -> None:
    # Into the file itself: another in its place would be another lock.
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
    facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    # The lock holds without a name too: on a full disk, what makes room must not fail here.
    with suppress(OSError), path.open("r+", encoding="utf-8") as file:
        file.write(json.dumps(facts))
        file.truncate()
