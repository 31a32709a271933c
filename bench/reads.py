"""`Reads`: processor seconds, bytes and data files that a piece of work takes (Linux)."""

import ctypes
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "cost_of"]

_IN_OPEN, _NONBLOCK = 0x20, 0o4000
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Cost:
    """Processor seconds of all threads, megabytes of read calls, files that were opened.

    What is memory-mapped (the sorted hashes of ids) is not in ``megabytes``; what the page cache
    gives is.
    """

    seconds: float
    megabytes: float = 0.0
    files: int = 0


def cost_of(work: Callable[[], object], folder: Path) -> Cost:
    """Run a piece of work and return what it cost; ``files`` are the Parquet files in ``folder``."""
    opened = _Opened(folder)
    before, started = _bytes_read(), time.process_time()
    work()
    seconds, after = time.process_time() - started, _bytes_read()
    return Cost(seconds, (after - before) / 1e6, opened.count())


def _bytes_read() -> int:
    lines = Path("/proc/self/io").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("rchar:")).split()[1])


class _Opened:
    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for path, _, _ in os.walk(folder):
            if libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), f"inotify_add_watch of {path}")

    def count(self) -> int:
        names: set[tuple[int, bytes]] = set()
        try:
            while True:
                names |= set(_events(os.read(self._descriptor, _BUFFER)))
        except BlockingIOError:
            pass  # all events were read
        finally:
            os.close(self._descriptor)
        return sum(name.endswith(b".parquet") for _, name in names)


def _events(data: bytes) -> list[tuple[int, bytes]]:
    events, at = [], 0
    while at < len(data):
        watch, _, _, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        events.append((watch, data[at : at + length].rstrip(b"\0")))
        at += length
    return events
