"""`listed_backups`: which backups were made of a home, and the file of the erasures since then."""

from pathlib import Path

from flywheel.io.json_lines import damaged_line, read_json_lines

__all__ = ["BACKUPS", "ERASURES", "listed_backups"]

# Which backups were made of a home, and the erasures that a restore of each applies again.
BACKUPS, ERASURES = "backups.jsonl", "erasures.jsonl"


def listed_backups(home: Path) -> list[dict[str, str]]:
    """Return folder and time of every backup that was made of a home, oldest first.

    Raises:
        IntegrityError: a line is damaged, or was cut off.
    """
    listed: list[dict[str, str]] = []
    for number, row in read_json_lines(home / BACKUPS):
        if not {"folder", "made_at"} <= set(row):
            raise damaged_line(home / BACKUPS, number)
        listed.append(row)
    return listed
