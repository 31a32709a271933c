"""`EventIdFiles`: what is known of the ids of landed events, kept beside the lake's tables.

Everything in the folder is derived from the data files of `inferences`: without it, or where it is
damaged or was written by another version of DuckDB (whose hash may differ), it is made again. The
manifest is replaced last, so that whoever reads it sees the state of one moment.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.errors import ConcurrencyError
from flywheel.io.atomic import write_json, writing
from flywheel.io.lock import exclusive
from flywheel.io.sqlite_file import can_write
from flywheel.lake.event_ids import IdRun

__all__ = ["POSITIONS", "EventIdFiles", "EventIdState"]

POSITIONS = pa.schema(
    [
        ("topic_id", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("workload_id", pa.string()),
        ("day", pa.date32()),
    ]
)
_MANIFEST = "manifest.json"
_LOCK = ".event_ids.lock"
_MADE_BY = f"2, duckdb {duckdb.__version__}"
_READS = 3


@dataclass
class EventIdState:
    """What is known, and of which data files.

    Attributes:
        delta_id: Delta's id of the table.
        version: newest version of the table whose files were looked at.
        files: paths of the data files that were looked at, below the table's folder.
        folders: partition folders by their number.
        runs: hashes of ids.
        later: positions of the events whose id came before, with workload and day.
        saved_as: identifies the manifest that this was read from or written as; None: never saved.
    """

    delta_id: str
    version: int = 0
    files: set[str] = field(default_factory=set)
    folders: list[str] = field(default_factory=list)
    runs: list[IdRun] = field(default_factory=list)
    later: pa.Table = field(default_factory=POSITIONS.empty_table)
    saved_as: tuple[int, int] | None = None


class EventIdFiles:
    """Read and replace the state; safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def identity(self) -> tuple[int, int] | None:
        """Identify the present manifest; None where there is none."""
        try:
            stat = (self.folder / _MANIFEST).stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def read(self, delta_id: str, version: int) -> EventIdState:
        """Return the state; an empty one where it is not of this table or cannot be used.

        Args:
            delta_id: Delta's id of the table.
            version: its newest version. A state of a later one saw rows that are gone since a backup
                was restored.
        """
        for _ in range(_READS):
            identity = self.identity()
            try:
                state = self._read()
            except FileNotFoundError:
                continue  # another process replaces it at this moment
            except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
                break  # damaged: it is made again
            if state is None or state.delta_id != delta_id or state.version > version:
                break
            state.saved_as = identity
            return state
        return EventIdState(delta_id)

    def _read(self) -> EventIdState | None:
        path = self.folder / _MANIFEST
        if not path.exists():
            return None
        manifest: dict[str, Any] = json.loads(path.read_bytes())
        if manifest["made_by"] != _MADE_BY:
            return None
        return EventIdState(
            delta_id=manifest["delta_id"],
            version=manifest["version"],
            files=set(manifest["files"]),
            folders=list(manifest["folders"]),
            runs=[self._run(name, rows) for name, rows in manifest["runs"].items()],
            later=pq.read_table(self.folder / manifest["later"]).cast(POSITIONS),
        )

    def _run(self, name: str, rows: int) -> IdRun:
        keys = np.load(self.folder / f"{name}.keys.npy", mmap_mode="r")
        folders = np.load(self.folder / f"{name}.folders.npy", mmap_mode="r")
        if not len(keys) == len(folders) == rows:
            raise ValueError(f"{name} is incomplete")
        return IdRun(keys, folders, name)

    @property
    def can_write(self) -> bool:
        """Whether this process may keep what it finds: a read-only home can still be read."""
        return can_write(self.folder / _MANIFEST)

    def save(self, state: EventIdState) -> None:
        """Replace what is kept, unless another process did so since the state was read.

        The state says afterwards what it was saved as.

        Raises:
            OSError: the disk is full or damaged; what was kept before is still there.
        """
        with suppress(ConcurrencyError), exclusive(self.folder.parent / _LOCK, wait=False):
            if self.identity() != state.saved_as:
                return
            before = self._names()
            state.runs = [run if run.name else self._write_run(run) for run in state.runs]
            later = f"later-{secrets.token_hex(8)}.parquet"
            with writing(self.folder / later, durable=False) as file:
                pq.write_table(state.later, file)
            names = self._write_manifest(state, later)
            state.saved_as = self.identity()
            for name in before - names:
                (self.folder / name).unlink(missing_ok=True)

    def _write_manifest(self, state: EventIdState, later: str) -> set[str]:
        runs: Mapping[str, int] = {run.name: len(run) for run in state.runs}
        write_json(
            self.folder / _MANIFEST,
            {
                "made_by": _MADE_BY,
                "delta_id": state.delta_id,
                "version": state.version,
                "files": sorted(state.files),
                "folders": state.folders,
                "runs": runs,
                "later": later,
            },
            durable=False,
        )
        return {later, *_run_files(list(runs))}

    def _names(self) -> set[str]:
        # Everything but the manifest, those too that a process left which was killed.
        return {path.name for path in self.folder.glob("*") if path.name != _MANIFEST}

    def _write_run(self, run: IdRun) -> IdRun:
        name = f"ids-{secrets.token_hex(8)}"
        keys, folders = _run_files([name])
        with writing(self.folder / keys, durable=False) as file:
            np.save(file, run.keys)
        with writing(self.folder / folders, durable=False) as file:
            np.save(file, run.folders)
        return IdRun(run.keys, run.folders, name)


def _run_files(names: Sequence[str]) -> list[str]:
    return [f"{name}.{part}.npy" for name in names for part in ("keys", "folders")]
