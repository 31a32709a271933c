"""`DailyRation`: how much of something each workload may still cost today, over restarts."""

import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec

from flywheel.clock import Clock
from flywheel.errors import StorageError
from flywheel.io.atomic import write_bytes
from flywheel.io.lock import exclusive
from flywheel.workload.model import Workload

__all__ = ["DailyRation"]


class _Spent(msgspec.Struct):
    day: date
    counts: dict[str, int]


class DailyRation:
    """Count what is taken on each day (UTC) in a small file that the processes of a home share.

    Args:
        file: holds the counts of the newest day.
        per_day: returns what a workload may take a day.
        clock: says which day it is.
    """

    def __init__(self, file: Path, per_day: Callable[[Workload], int], clock: Clock) -> None:
        self._file = file
        self._per_day = per_day
        self._clock = clock
        self._lock = threading.Lock()

    def take(self, workload: Workload) -> bool:
        """Take one, and return whether there was one left; StorageError: it cannot be counted."""
        try:
            with self._lock, exclusive(self._file.with_name(f"{self._file.name}.lock")):
                return self._take(workload)
        except OSError as error:
            raise StorageError(
                f"The count of today's ration in {self._file} cannot be written: {error}.",
                next_step="make room on the disk and check its permissions",
            ) from error

    def _take(self, workload: Workload) -> bool:
        spent = self._read()
        count = spent.counts.get(workload.id, 0)
        if count >= self._per_day(workload):
            return False
        spent.counts[workload.id] = count + 1
        write_bytes(self._file, msgspec.json.encode(spent))
        return True

    def left(self, workload: Workload) -> int:
        """Return how many a workload may still take today."""
        count = self._read().counts.get(workload.id, 0)
        return max(0, self._per_day(workload) - count)

    def _read(self) -> _Spent:
        today = self._clock.now().date()
        try:
            spent = msgspec.json.decode(self._file.read_bytes(), type=_Spent)
        except (FileNotFoundError, msgspec.DecodeError):
            # A damaged count costs at most one more ration; it does not stop the gateway.
            return _Spent(today, {})
        return spent if spent.day == today else _Spent(today, {})
