"""`LaterEvents`: the positions of events whose id came before, found once per data file.

An id counts once, also when it comes again months later with another date. Looking through the
whole history for that at every query would make each day dearer than the one before: here only data
files are looked at that were not yet. Of several events with one id the first by landing counts, so
that an event which was later once stays later.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import duckdb
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from flywheel.lake.arrow_results import read_arrow
from flywheel.lake.digests import data_files, relative_path
from flywheel.lake.event_id_files import POSITIONS, EventIdFiles, EventIdState
from flywheel.lake.event_ids import EventIds, Folders, Keys
from flywheel.lake.handles import TableHandle
from flywheel.lake.query_errors import could_not_read, read_error
from flywheel.lake.views import LATER_EVENTS, stored_view

__all__ = ["CREATE_LATER_EVENTS", "EVENT_IDS_FOLDER", "LaterEvents"]

EVENT_IDS_FOLDER = "event_ids"
# What the next process would have to read again is cheaper than keeping it, up to here. The files
# that hold the first copies of repeats count too: a few repeats may lie in many.
_UNSAVED_ROWS, _UNSAVED_FILES = 20_000, 20
# More than this takes seconds, and is worth a line.
_SILENT_BYTES = 256 << 20
_log = logging.getLogger(__name__)

CREATE_LATER_EVENTS = f"""
CREATE OR REPLACE TABLE {LATER_EVENTS} (
    topic_id VARCHAR, "partition" INTEGER, "offset" BIGINT, workload_id VARCHAR, "day" DATE)
"""
_KEYS = "SELECT hash(workload_id, inference_id) AS id FROM ({rows})"
_LATER = """
SELECT topic_id, "partition", "offset", workload_id, "day" FROM (
    SELECT topic_id, "partition", "offset", workload_id, "day", row_number() OVER (
        PARTITION BY workload_id, inference_id
        ORDER BY landed_at, topic_id, "partition", "offset") AS turn
    FROM ({rows}) WHERE hash(workload_id, inference_id) IN (SELECT id FROM repeated_ids))
WHERE turn > 1 AND topic_id IS NOT NULL
EXCEPT SELECT topic_id, "partition", "offset", workload_id, "day" FROM {table}
"""


class LaterEvents:
    """Keep the table of positions up to date in one DuckDB; its caller holds the lake's lock.

    Args:
        root: folder of this machine for what is derived.
        handle: of the table of events.
    """

    def __init__(self, root: Path, handle: TableHandle) -> None:
        self._files = EventIdFiles(root / EVENT_IDS_FOLDER)
        self._handle = handle
        self._state: EventIdState | None = None
        self._refreshed: tuple[int, int] | None = None
        self._unsaved_rows, self._unsaved_files = 0, 0

    def forget(self) -> None:
        """Drop what is in memory: DuckDB was closed."""
        self._state = None

    def refresh(self, connection: duckdb.DuckDBPyConnection, delta: DeltaTable) -> None:
        """Look at the data files of a snapshot that were not looked at yet.

        Args:
            connection: holds the table of positions.
            delta: the handle's present snapshot.

        Raises:
            StorageError: a data file cannot be read.
        """
        key, before = self._handle.snapshot_key, self._refreshed
        if self._state is None or before != key:
            if before is not None and key is not None and before[1] != key[1]:
                self._state = None  # it may know events that a restored backup does not hold
            self._look(connection, delta, int(delta.version()))
            self._refreshed = key

    def _look(self, connection: duckdb.DuckDBPyConnection, delta: DeltaTable, version: int) -> None:
        identity = str(delta.metadata().id)
        if self._state is None or self._state.delta_id != identity:
            self._load(connection, identity, version)
        present = {relative_path(self._handle.folder, uri) for uri in data_files(delta)}
        if present <= self._known.files:
            return
        if self._files.identity() != self._known.saved_as:
            self._load(connection, identity, version)  # another process has looked at some of them
        if present <= self._known.files:
            return
        self._look_at(connection, present)
        self._known.version = version
        if (
            self._unsaved_rows >= _UNSAVED_ROWS or self._unsaved_files >= _UNSAVED_FILES
        ) and self._files.can_write:
            # What is not kept is looked at again: no query fails because the disk is full.
            with suppress(OSError):
                self._files.save(self._known)
                self._unsaved_rows, self._unsaved_files = 0, 0

    def folders_with(self, keys: Keys) -> set[str]:
        """Name the partition folders that hold rows with these hashes of ids."""
        if self._state is None:
            return set()  # nothing has landed
        return {self._state.folders[n] for n in EventIds(self._state.runs).folders_of(keys)}

    @property
    def _known(self) -> EventIdState:
        assert self._state is not None  # refresh() has read it
        return self._state

    def _load(self, connection: duckdb.DuckDBPyConnection, identity: str, version: int) -> None:
        self._state = self._files.read(identity, version)
        self._unsaved_rows, self._unsaved_files = 0, 0
        connection.execute(CREATE_LATER_EVENTS)
        self._insert(connection, self._state.later)

    def _look_at(self, connection: duckdb.DuckDBPyConnection, present: set[str]) -> None:
        state = self._known
        fresh = sorted(present - state.files)
        self._announce(fresh)
        ids = EventIds(state.runs)
        keys: list[Keys] = []
        folders: list[Folders] = []
        numbers = {folder: number for number, folder in enumerate(state.folders)}
        for folder, files in _by_folder(fresh).items():
            if folder not in numbers:
                numbers[folder] = len(state.folders)
                state.folders.append(folder)
            rows = self._keys(connection, files)
            repeated, of_folders = ids.add(rows, numbers[folder])
            keys.append(repeated)
            folders.append(of_folders)
            self._unsaved_rows += len(rows)
        state.runs = ids.runs
        repeated = np.unique(np.concatenate(keys))
        if len(repeated):
            names = {state.folders[number] for number in np.unique(np.concatenate(folders))}
            files = sorted(path for path in present if _folder_of(path) in names)
            later = self._later(connection, files, repeated)
            self._unsaved_files += len(files)
            self._insert(connection, later)
            state.later = pa.concat_tables([state.later, later])
        # Files that were replaced since are named no more.
        state.files = present
        self._unsaved_files += len(fresh)

    def _announce(self, fresh: Iterable[str]) -> None:
        paths = [self._handle.folder / path for path in fresh]
        # One that is missing is an error where it is read.
        size = sum(path.stat().st_size for path in paths if path.exists())
        if size > _SILENT_BYTES:
            _log.warning(
                "comparing the ids of %d MB of events that were not compared yet; this is done once",
                size >> 20,
            )

    def _keys(self, connection: duckdb.DuckDBPyConnection, files: Iterable[str]) -> Keys:
        rows = self._read(connection, _KEYS.format(rows=self._rows(files)))
        return np.asarray(rows["id"].to_numpy(), dtype=np.uint64)

    def _later(
        self, connection: duckdb.DuckDBPyConnection, files: Iterable[str], repeated: Keys
    ) -> pa.Table:
        connection.register("repeated_ids", pa.table({"id": repeated}))
        try:
            sql = _LATER.format(rows=self._rows(files), table=LATER_EVENTS)
            return self._read(connection, sql).cast(POSITIONS)
        finally:
            connection.unregister("repeated_ids")

    def _rows(self, files: Iterable[str]) -> str:
        written = [field.name for field in self._handle.present().schema().fields]
        uris = [str(self._handle.folder / path) for path in files]
        return stored_view(self._handle.table, uris, written)

    def _read(self, connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
        try:
            return read_arrow(connection, sql)
        except duckdb.Error as error:
            if not could_not_read(error, self._handle.location):
                raise
            raise read_error(error, self._handle.location) from error

    def _insert(self, connection: duckdb.DuckDBPyConnection, positions: pa.Table) -> None:
        if positions.num_rows:
            connection.register("later_positions", positions)
            connection.execute(f"INSERT INTO {LATER_EVENTS} SELECT * FROM later_positions")  # noqa: S608
            connection.unregister("later_positions")


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folders[_folder_of(path)].append(path)
    return folders


def _folder_of(path: str) -> str:
    return PurePosixPath(path).parent.as_posix()
