"""`backups_receipt`: which backups hold an erased person, and what makes a restore erase again.

An erasure is written into `erasures.jsonl` of the home and of each listed backup that can be
reached: `flywheel restore` reads it there.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flywheel.io.atomic import write_text
from flywheel.io.json_lines import damaged_line, read_json_lines
from flywheel.usecases.backup_record import ERASURES, listed_backups
from flywheel.usecases.erasing.person import Person
from flywheel.usecases.erasing.receipts import Receipt

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["Erasure", "add_erasure", "backups_receipt", "read_erasures"]


@dataclass(frozen=True)
class Erasure:
    """One request, as it is written beside backups.

    ``subject_ids`` are those of the lake; ``dead_letters`` are positions that named the person by
    an id which is stored nowhere.
    """

    subject_ids: Sequence[str]
    workload_id: str | None
    requested_by: str
    reason: str
    requested_at: str
    dead_letters: Sequence[Sequence[Any]] = ()

    @property
    def key(self) -> tuple[tuple[str, ...], str | None]:
        """Whom and which workload it concerns."""
        return tuple(self.subject_ids), self.workload_id


def add_erasure(file: Path, erasure: Erasure) -> None:
    """Write an erasure into a file, once; positions that it has more are added."""
    erasures = {one.key: one for one in read_erasures(file)}
    former = erasures.get(erasure.key, erasure)
    letters = {tuple(one) for one in (*former.dead_letters, *erasure.dead_letters)}
    erasures[erasure.key] = replace(former, dead_letters=sorted(letters))
    lines = [json.dumps(asdict(one)) + "\n" for one in erasures.values()]
    write_text(file, "".join(lines))


def read_erasures(file: Path) -> list[Erasure]:
    """Return the erasures of a file, none where there is no file.

    Raises:
        IntegrityError: a line is damaged, or was cut off.
    """
    erasures = []
    for number, row in read_json_lines(file):
        try:
            erasures.append(Erasure(**row))
        except TypeError:
            raise damaged_line(file, number) from None
    return erasures


def backups_receipt(platform: "Platform", person: Person, *, change: bool) -> Receipt:
    """Name the backups that were made, and leave the erasure in those that can be reached."""
    count, remains = 0, []
    for backup in listed_backups(platform.home):
        folder = Path(backup["folder"])
        if not folder.is_dir():
            remains.append(
                f"the backup {folder} of {backup['made_at']} is not there any more; if it was "
                f"moved, restore it with --erasures {platform.home / ERASURES}"
            )
            continue
        count += 1
        if change:
            for erasure in read_erasures(platform.home / ERASURES):
                if list(erasure.subject_ids) == list(person.subject_ids):
                    add_erasure(folder / ERASURES, erasure)
        remains.append(
            f"the backup {folder} of {backup['made_at']} holds them: delete it, or keep it, and "
            "restoring it applies the erasure again"
        )
    remains.append(
        "copies made by other means (disk snapshots, pg_dump) are yours to find: restore none "
        f"without {ERASURES}"
    )
    return Receipt("backups", "backups that restore without them", count, remains)
