"""`LogWatch`: notices that a table's log was replaced under an open snapshot, as a restore does.

After a backup was put in the place of a table, its versions count up from an earlier number, and
the same number stands for other rows. A snapshot that is open knows nothing of it.

On a disk it also sees that nothing was committed since: the next version would have a file of its
own. To ask for that file takes a hundredth of the time that Delta takes to look through its log.
"""

import time
from pathlib import Path

from flywheel.lake.location import LakePath

__all__ = ["LogWatch"]

# For so long after Delta looked, a file that is not there was not removed by maintenance either: the
# entries of the log live longer (table.py, `delta.logRetentionDuration`).
_TRUSTED_SECONDS = 60.0


class LogWatch:
    """Compare the log entry of a version with what it was when its snapshot was opened.

    Args:
        folder: of the table.

    Attributes:
        generation: how often the log was replaced since this process opened the table.
    """

    def __init__(self, folder: LakePath) -> None:
        self._log = folder / "_delta_log"
        self._seen: tuple[int, str | None] | None = None
        self._noted_at = 0.0
        self.generation = 0

    def note(self, version: int, looked_at: float) -> None:
        """Note the entry of the version that is open now.

        Args:
            version: that was the newest one.
            looked_at: `time.monotonic` before it was looked for.
        """
        self._noted_at = looked_at
        if self._seen is None or self._seen[0] != version:
            try:
                self._seen = version, self._mark(version)
            except OSError:
                self._seen = None  # a store that is away says nothing of its table

    def is_newest(self, version: int) -> bool:
        """Return whether nothing was committed since a version was noted; False where only Delta knows.

        Ask after `is_replaced`.
        """
        if self._seen is None or self._seen[0] != version or self._seen[1] is None:
            return False
        if not isinstance(self._log, Path) or time.monotonic() - self._noted_at > _TRUSTED_SECONDS:
            return False
        return not (self._log / f"{version + 1:020}.json").exists()

    def is_replaced(self, version: int) -> bool:
        """Return whether the entry of the open version is gone or another one.

        One that maintenance removed counts as replaced too: the table is opened again.

        Raises:
            OSError: the log could not be looked at.
        """
        if self._seen is None or self._seen[0] != version or self._seen[1] == self._mark(version):
            return False
        self._seen = None
        self.generation += 1
        return True

    def _mark(self, version: int) -> str | None:
        # A copy has an inode of its own, whatever times it was given; an object has its time.
        for suffix in ("json", "checkpoint.parquet"):
            try:
                stat = (self._log / f"{version:020}.{suffix}").stat()
            except FileNotFoundError:
                continue
            return f"{suffix} {stat.st_size} {stat.st_mtime_ns} {getattr(stat, 'st_ino', '')}"
        return None
