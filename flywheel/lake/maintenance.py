"""Upkeep of the lake: erasure for good, compaction, checkpoint, vacuum.

Readers may stay open: a file that a snapshot of the last days names is not deleted.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from deltalake import DeltaTable

from flywheel.errors import ConfigurationError
from flywheel.lake.erasure import erase_subjects
from flywheel.lake.handles import NO_HOOKS
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES

__all__ = ["MINIMUM_RETENTION_HOURS", "MaintenanceReport", "TableUpkeep", "maintain"]

MINIMUM_RETENTION_HOURS = 168
_FEW_FILES = 4
# A day that still grows is compacted when small files pile up: reads get several times slower.
_OPEN_DAY_FILES = 100


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
    """What maintenance did to the lake."""

    tables: list[TableUpkeep] = field(default_factory=list)
    erased: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def maintain(
    lake: Lake, *, now: datetime, retention_hours: int = MINIMUM_RETENTION_HOURS
) -> MaintenanceReport:
    """Look after every table that exists.

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
    tables = [
        upkeep
        for name in TABLES
        if (upkeep := _look_after(lake, name, now.date(), retention_hours)) is not None
    ]
    return MaintenanceReport(tables, erased, time.perf_counter() - started)


def _look_after(lake: Lake, name: str, today: date, retention_hours: int) -> TableUpkeep | None:
    handle = lake.handle(name)
    with lake.lock:
        delta = handle.refresh()
        if delta is None:
            return None
        before = len(delta.file_uris())

    def compact() -> None:
        if handle.refresh() is not None:
            handle.change(lambda delta: _compact(delta, name, today))

    lake.retry(compact)
    with lake.lock:
        handle.refresh()
        handle.configure()
        handle.checkpoint()
        removed: list[str] = []
        handle.change(lambda delta: removed.extend(_vacuum(delta, retention_hours)))
        delta = handle.present()
        return TableUpkeep(name, delta.version(), before, len(delta.file_uris()), len(removed))


def _vacuum(delta: DeltaTable, retention_hours: int) -> list[str]:
    # Full: a checkpoint has forgotten which files were removed long ago, and files that a killed
    # process never committed were in no log. Both are told by their age on disk.
    removed: list[str] = delta.vacuum(
        retention_hours, dry_run=False, full=True, post_commithook_properties=NO_HOOKS
    )
    return removed


def _compact(delta: DeltaTable, name: str, today: date) -> None:
    if "day" in TABLES[name].partition_by:
        files = Counter(delta.get_add_actions(flatten=True)["partition.day"].to_pylist())
        days = sorted(
            day.isoformat()
            for day, count in files.items()
            if day is not None and count > (1 if day < today else _OPEN_DAY_FILES)
        )
        if days:
            delta.optimize.compact(
                partition_filters=[("day", "in", days)], post_commithook_properties=NO_HOOKS
            )
    elif len(delta.file_uris()) > _FEW_FILES:
        delta.optimize.compact(post_commithook_properties=NO_HOOKS)
