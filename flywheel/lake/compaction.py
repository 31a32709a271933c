"""`compact`: fewer, larger data files with the same rows.

Delta's own compaction does not see that another one replaced the same files. On a disk a lock keeps
two apart. In an object store there is none that every machine sees: there the rows of a day are
written again in a commit with the mark of a rewrite, of which the store refuses the second.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.errors import ConcurrencyError, IntegrityError
from flywheel.io.records import JsonObject
from flywheel.lake.check import damaged_files
from flywheel.lake.handles import TableHandle
from flywheel.lake.rows import conform, equality
from flywheel.lake.store import Lake

__all__ = ["compact"]

_FEW_FILES = 4
# A day that still grows is compacted when small files pile up: reads get several times slower.
_OPEN_DAY_FILES = 100
_BATCH_ROWS = 16_384


def compact(lake: Lake, handle: TableHandle, today: date) -> None:
    """Compact the days of a table that are over, or a table without days that has many files.

    Raises:
        IntegrityError: a file is not as it was written; nothing is compacted.
    """
    with lake.lock:
        if handle.refresh() is None:
            return
        days: list[date | None] = [None]
        if "day" in handle.table.partition_by:
            days = _days_to_compact(handle, today)
    if not handle.location.is_remote:
        lake.retry(lambda: _optimize(lake, handle, days))
        return
    for day in days:
        # A day to which others add rows while it is written again is left to the next round.
        with suppress(ConcurrencyError), lake.lock:
            _write_again(lake, handle, day)


def _days_to_compact(handle: TableHandle, today: date) -> list[date | None]:
    actions = pa.table(handle.present().get_add_actions(flatten=True))
    counts = Counter(actions["partition.day"].to_pylist())
    return sorted(
        day
        for day, count in counts.items()
        if day is not None and count > (1 if day < today else _OPEN_DAY_FILES)
    )


def _optimize(lake: Lake, handle: TableHandle, days: list[date | None]) -> None:
    with handle.rewriting():
        handle.refresh()
        names = _files_of(handle, days)
        if not names:
            return
        _require_undamaged(lake, handle, names)
        chosen = None if days == [None] else [day for day in days if day is not None]
        handle.change(lambda delta: lake.engine.compact(delta, chosen))


def _write_again(lake: Lake, handle: TableHandle, day: date | None) -> None:
    with handle.rewriting():
        handle.refresh()
        names = _files_of(handle, [day])
        if not names:
            return
        _require_undamaged(lake, handle, names)
        schema = handle.table.schema
        rows = pa.RecordBatchReader.from_batches(schema, _batches(handle, set(names)))
        handle.overwrite(rows, None if day is None else equality(handle.table, {"day": day}))


def _files_of(handle: TableHandle, days: list[date | None]) -> list[str]:
    # Those that are worth it: of a table without days, only where there are many.
    actions = _actions(handle)
    if days == [None]:
        return [name for name, _ in actions] if len(actions) > _FEW_FILES else []
    return [name for name, values in actions if values["day"] in days]


def _actions(handle: TableHandle) -> list[tuple[str, JsonObject]]:
    rows = pa.table(handle.present().get_add_actions(flatten=True)).to_pylist()
    names = sorted(handle.files())
    by_path = {unquote(row["path"]): row for row in rows}
    keys = handle.table.partition_by
    return [(name, {key: by_path[name][f"partition.{key}"] for key in keys}) for name in names]


def _batches(handle: TableHandle, names: set[str]) -> Iterator[pa.RecordBatch]:
    files, table = handle.files(), handle.table
    for name, values in _actions(handle):
        if name not in names:
            continue
        with files[name].open("rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS):
                rows = pa.table(batch)
                for key, value in values.items():
                    kind = table.schema.field(key).type
                    rows = rows.append_column(key, pa.array([value] * len(rows), kind))
                yield from conform(table, rows).to_batches()


def _require_undamaged(lake: Lake, handle: TableHandle, paths: Iterable[str]) -> None:
    # What is compacted gets a new digest: a damaged file would be taken for a sound one ever after.
    damaged = damaged_files(handle, lake, list(paths))
    if damaged:
        raise IntegrityError(
            f"The lake table {handle.table.name} is not compacted: {', '.join(damaged)}.",
            next_step="restore it from a backup (`flywheel restore`)",
        )
