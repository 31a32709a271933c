"""`hide_erased` and `finish_restore`: erasures that came after a backup, applied to what it restores."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES
from flywheel.usecases.backup_record import ERASURES
from flywheel.usecases.erasing.backups import Erasure, add_erasure, read_erasures
from flywheel.usecases.erasing.run import ErasureReport, erase_again

if TYPE_CHECKING:
    from flywheel.wiring import Platform

__all__ = ["finish_restore", "hide_erased"]


def hide_erased(home: Path, erasures: Iterable[Erasure]) -> int:
    """Hide erased persons in a home that was not opened yet; return how many erasures there are."""
    for erasure in erasures:
        add_erasure(home / ERASURES, erasure)
    in_home = read_erasures(home / ERASURES)
    lake = Lake(home / "lake")
    try:
        stored = {
            (row["subject_id"], row["workload_id"])
            for row in lake.rows("SELECT subject_id, workload_id FROM stored.erasures")
        }
        rows = [
            {
                "workload_id": one.workload_id,
                "subject_id": subject_id,
                "requested_by": one.requested_by,
                "reason": one.reason,
                "requested_at": datetime.fromisoformat(one.requested_at),
            }
            for one in in_home
            for subject_id in one.subject_ids
            if (subject_id, one.workload_id) not in stored
        ]
        if rows:
            table = pa.Table.from_pylist(rows, schema=TABLES["erasures"].schema)
            lake.append("erasures", table)
    finally:
        lake.close()
    return len(in_home)


def finish_restore(platform: "Platform") -> Sequence[ErasureReport]:
    """Remove the erased persons from every store of a restored home."""
    return erase_again(platform, read_erasures(platform.home / ERASURES))
