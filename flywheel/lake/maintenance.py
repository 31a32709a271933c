"""Upkeep of the lake: erasure for good, compaction, checkpoint, vacuum.

Readers may stay open: a file that a snapshot of the last days names is not deleted.
"""

import time
from dataclasses import dataclass, field
from datetime import date, datetime

from flywheel.errors import ConfigurationError, IntegrityError
from flywheel.lake.compaction import compact
from flywheel.lake.erasure import erase_subjects
from flywheel.lake.handles import TableHandle
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES

__all__ = ["MINIMUM_RETENTION_HOURS", "MaintenanceReport", "TableUpkeep", "maintain"]

MINIMUM_RETENTION_HOURS = 168


@dataclass(frozen=True)
class TableUpkeep:
    """What maintenance did to one table."""

    table: str
    version: int
    files_before: int
    files_after: int
    vacuumed: int


@dataclass(frozen=True)
class MaintenanceReport:
    """What maintenance did to the lake.

    Attributes:
        tables: that were looked after.
        erased: rows of erased persons, by table.
        damaged: tables that were left alone, and why.
        published: artifacts that no other home could read before; none for a lake on a disk.
        seconds: that the tables took.
    """

    tables: list[TableUpkeep] = field(default_factory=list)
    erased: dict[str, int] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    seconds: float = 0.0


def maintain(
    lake: Lake, *, now: datetime, retention_hours: int = MINIMUM_RETENTION_HOURS
) -> MaintenanceReport:
    """Compact, checkpoint and vacuum every table that exists.

    Args:
        lake: the lake.
        now: days before this moment's day are closed and compacted.
        retention_hours: age from which files that no version needs are deleted.

    Raises:
        ConfigurationError: the retention is too short for readers that are open.
    """
    if retention_hours < MINIMUM_RETENTION_HOURS:
        raise ConfigurationError(
            f"Keeping old files for {retention_hours} hours would cut off readers.",
            next_step=f"keep them at least {MINIMUM_RETENTION_HOURS} hours",
        )
    started = time.perf_counter()
    erased = erase_subjects(lake)
    tables, damaged = [], {}
    for name in TABLES:
        try:
            upkeep = _look_after(lake, name, now.date(), retention_hours)
        except IntegrityError as error:
            damaged[name] = error.message
            continue
        if upkeep is not None:
            tables.append(upkeep)
    return MaintenanceReport(tables, erased, damaged, seconds=time.perf_counter() - started)


def _look_after(lake: Lake, name: str, today: date, retention_hours: int) -> TableUpkeep | None:
    handle = lake.handle(name)
    with lake.lock:
        delta = handle.refresh()
        if delta is None:
            return None
        before = len(delta.file_uris())

    compact(lake, handle, today)
    lake.retry(lambda: _configure(handle))
    removed = lake.retry(lambda: _remove_old_files(lake, handle, retention_hours))
    lake.retry(lambda: _complete_digests(handle))
    with lake.lock:
        handle.refresh()
        delta = handle.present()
        return TableUpkeep(name, delta.version(), before, len(delta.file_uris()), removed)


def _configure(handle: TableHandle) -> None:
    handle.refresh()
    handle.configure()
    handle.checkpoint()


def _remove_old_files(lake: Lake, handle: TableHandle, retention_hours: int) -> int:
    counts: list[int] = []
    handle.refresh()
    handle.change(lambda delta: counts.append(lake.engine.vacuum(delta, retention_hours)))
    return counts[0]


def _complete_digests(handle: TableHandle) -> None:
    handle.refresh()
    if not handle.is_complete:
        handle.adopt_files()
