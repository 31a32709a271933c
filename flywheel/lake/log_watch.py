"""`LogWatch`: notices that a table's log went on, or was replaced, under an open snapshot.

After a backup was put in the place of a table, its versions count up from an earlier number, and
the same number stands for other rows. A snapshot that is open knows nothing of it.
"""

from pathlib import Path

from flywheel.lake.location import LakePath

__all__ = ["LogWatch"]


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
        self._checkpoint: tuple[int, int, int] | None = None
        self.generation = 0

    def note(self, version: int) -> None:
        """Note the entry of the version that is open now."""
        if self._seen is None or self._seen[0] != version:
            try:
                self._seen = version, self._mark(version)
            except OSError:
                self._seen = None  # a store that is away says nothing of its table

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

    def has_ended(self, version: int) -> bool:
        """Return whether the log certainly ends with the open version; ask `is_replaced` first.

        On a disk three looks at files say so, where Delta lists the folder: a commit is the file of
        the next version. It can be missing after that commit only where maintenance has removed it,
        which happens after a later checkpoint. Where this returns False, Delta has to look.

        Raises:
            OSError: the log could not be looked at.
        """
        if not isinstance(self._log, Path):
            return False
        # In this order: a next version that maintenance has removed has its checkpoint by then.
        has_next = (self._log / f"{version + 1:020}.json").exists()
        # Noted before Delta looks: the version that it finds is at least as new as this checkpoint.
        before, self._checkpoint = self._checkpoint, self._checkpoint_mark(self._log)
        is_seen = self._seen is not None and self._seen[0] == version
        return is_seen and self._checkpoint == before and not has_next

    def _checkpoint_mark(self, log: Path) -> tuple[int, int, int]:
        try:
            stat = (log / "_last_checkpoint").stat()
        except FileNotFoundError:
            return 0, 0, 0
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _mark(self, version: int) -> str | None:
        # A copy has an inode of its own, whatever times it was given; an object has its time.
        for suffix in ("json", "checkpoint.parquet"):
            try:
                stat = (self._log / f"{version:020}.{suffix}").stat()
            except FileNotFoundError:
                continue
            return f"{suffix} {stat.st_size} {stat.st_mtime_ns} {getattr(stat, 'st_ino', '')}"
        return None
