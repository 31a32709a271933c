"""`AuditHeads`: the hash of every audit row, kept in a file outside the database.

A writer of the database can rewrite the whole chain, and it is unbroken again. The file
holds what the chain was: one line per row, added after its transaction. A copy of the newest line
(`flywheel audit head`) noted elsewhere proves both.
"""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from flywheel.errors import IntegrityError, StorageError
from flywheel.io.atomic import copy_file, write_text
from flywheel.io.lock import exclusive

__all__ = ["UNWRITTEN_ROWS", "AuditHeads"]

# A process that ends between its transaction and its line leaves this many rows without one, at
# most; the next process adds them. More are missing only where the file was cut off or replaced.
UNWRITTEN_ROWS = 16
_LINE_BYTES = 200
# The first row may have lost its line to a crash, and the second one finds no file.
_FIRST_ROWS = 2


class AuditHeads:
    """Append to and read the file of audit hashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, rows: Sequence[tuple[int, str]]) -> None:
        """Add the line of the newest row, and of rows before it whose process ended too early.

        Args:
            rows: number and hash of the newest rows, oldest first; the last one is new.

        Raises:
            StorageError: the file cannot be written; the row itself is in the database.
        """
        seq = rows[-1][0]
        try:
            with self._lock(), self.path.open("a+b") as file:
                last = _end_of(file)
                new = [row for row in rows if row[0] > last]
                is_new = last == 0 and len(rows) > _FIRST_ROWS
                if is_new or rows[0][0] > last + 1:
                    new = [rows[-1]]  # not the work of a crash: `missing` reports the others
                file.write("".join(map(_line, new)).encode())
        except OSError as error:
            raise StorageError(
                f"Audit row {seq} is written, but its hash could not be added to {self.path}: "
                f"{error.strerror}",
                next_step="free space or mend the file's permissions; `flywheel verify` works "
                "without this line",
            ) from error

    def rewrite(self, chain: Mapping[int, str]) -> Path | None:
        """Write the file again from a chain; return where the former lines are now, if there was one.

        Raises:
            StorageError: the file cannot be written.
        """
        former = None
        try:
            with self._lock():
                if self.path.exists():
                    earlier = len(list(self.path.parent.glob(f"{self.path.name}.before-*")))
                    former = self.path.with_name(f"{self.path.name}.before-{earlier + 1}")
                    copy_file(self.path, former)
                write_text(self.path, "".join(map(_line, sorted(chain.items()))))
        except OSError as error:
            raise StorageError(
                f"{self.path} could not be written: {error.strerror}",
                next_step="free space or mend the file's permissions, then run it again",
            ) from error
        return former

    def read(self) -> dict[int, str]:
        """Return the hash of each row by its number; none where there is no file.

        Raises:
            IntegrityError: the file is damaged, or names two hashes for one row.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{self.path} cannot be read: {error}", next_step="restore it from a backup"
            ) from error
        heads: dict[int, str] = {}
        # A crash may cut off the last line, and then its end is missing; any other is damage.
        complete_lines, _, _ = text.rpartition("\n")
        for number, line in enumerate(complete_lines.splitlines(), start=1):
            try:
                row = json.loads(line)
                seq, row_hash = int(row["seq"]), str(row["hash"])
            except (ValueError, KeyError, TypeError):
                raise self._damaged(f"line {number} is damaged") from None
            if heads.setdefault(seq, row_hash) != row_hash:
                raise self._damaged(f"row {seq} has two hashes: the audit was written twice")
        return heads

    @staticmethod
    def differences(heads: Mapping[int, str], chain: Mapping[int, str]) -> list[str]:
        """Return what a chain (hash by number) lacks or has otherwise than the file.

        Args:
            heads: the file's lines, read before the chain, which may have grown since.
            chain: the hashes in the database.
        """
        changed = [seq for seq, row_hash in heads.items() if chain.get(seq, row_hash) != row_hash]
        missing = [seq for seq in heads if seq not in chain]
        differences = []
        if changed:
            differences.append(f"row {min(changed)} and what follows were written again")
        if missing:
            differences.append(f"rows {min(missing)} to {max(missing)} were cut off")
        return differences

    @staticmethod
    def missing(heads: Mapping[int, str], chain: Mapping[int, str]) -> str | None:
        """Return which rows of a chain have no line, where that is more than a crash leaves.

        For a database that is written from one home: each home keeps the rows that it wrote.
        """
        lacking = [seq for seq in chain if seq not in heads]
        if not lacking:
            return None
        if not heads:
            return None if len(chain) == 1 else "it is gone or empty"
        if min(lacking) > max(heads) and len(lacking) <= UNWRITTEN_ROWS:
            return None
        return f"rows {min(lacking)} to {max(lacking)} are not in it"

    def _lock(self) -> AbstractContextManager[None]:
        # Beside the file, which may be replaced while somebody waits to add a line.
        return exclusive(self.path.with_name(f"{self.path.name}.lock"))

    def _damaged(self, problem: str) -> IntegrityError:
        return IntegrityError(f"{self.path}: {problem}.", next_step="restore it from a backup")


def _line(row: tuple[int, str]) -> str:
    return json.dumps({"seq": row[0], "hash": row[1]}) + "\n"


def _end_of(file: BinaryIO) -> int:
    # Drops a line that a crash cut off, and returns the number of the last one; 0 for an empty file
    # and for a line that is damaged, which `read` reports.
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _LINE_BYTES))
    end = file.read()
    rest = end.rpartition(b"\n")[2]
    if rest:
        file.truncate(size - len(rest))
    lines = end.removesuffix(rest).splitlines()
    try:
        return int(json.loads(lines[-1])["seq"]) if lines else 0
    except (ValueError, KeyError, TypeError):
        return 0
