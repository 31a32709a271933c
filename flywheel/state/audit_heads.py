"""`AuditHeads`: the hash of every audit row, kept in a file outside the database.

Whoever can write the database can write the whole chain again, and it is unbroken again. The file
holds what the chain was: one line per row, added after its transaction. A copy of the newest line
(`flywheel audit head`) noted elsewhere proves both.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from flywheel.errors import IntegrityError, StorageError

__all__ = ["AuditHeads"]


class AuditHeads:
    """Append to and read the file of audit hashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, seq: int, row_hash: str) -> None:
        """Add one line.

        Raises:
            StorageError: the file cannot be written; the row itself is in the database.
        """
        line = json.dumps({"seq": seq, "hash": row_hash}) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise StorageError(
                f"Audit row {seq} is written, but its hash could not be added to {self.path}: "
                f"{error.strerror}",
                next_step="free space or mend the file's permissions; `flywheel verify` works "
                "without this line",
            ) from error

    def read(self) -> dict[int, str]:
        """Return the hash of each row by its number; none where there is no file.

        Raises:
            IntegrityError: the file is damaged, or names two hashes for one row.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise IntegrityError(
                f"{self.path} cannot be read: {error}", next_step="restore it from a backup"
            ) from error
        heads: dict[int, str] = {}
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                seq, row_hash = int(row["seq"]), str(row["hash"])
            except (ValueError, KeyError, TypeError):
                # A crash may cut off the last line; in between it is damage.
                if number == len(lines):
                    break
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
        found = []
        if changed:
            found.append(f"row {min(changed)} and what follows were written again")
        if missing:
            found.append(f"rows {min(missing)} to {max(missing)} were cut off")
        return found

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(f"{self.path}: {what}.", next_step="restore it from a backup")
