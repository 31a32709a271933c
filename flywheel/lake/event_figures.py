"""`EventFigures`: counts and bounds of every day's events, counted again only where a day changed.

What is asked of all that ever landed (how many answers there are, since when, up to which offset)
is a sum or an extreme over days. A day is counted again when its data files are others, an event of
it turned out to repeat an id, or a person was erased; the figures of all other days are read from
one small file beside the tables. They hold no text.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from flywheel.lake.derived_file import DerivedFile
from flywheel.lake.digests import data_files
from flywheel.lake.views import ANSWERED, EVENT_FIGURES, FAILED, LATER_EVENTS, NO_DAY

__all__ = ["EVENT_FIGURES_FILE", "EventFigures"]

EVENT_FIGURES_FILE = "event_figures.parquet"
# What the next process would have to count again is cheaper than keeping it, up to here.
_UNSAVED_ROWS = 20_000
_ABOUT = b"flywheel"

_TIME = pa.timestamp("us", tz="UTC")
_COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("folder", "workload_id")),
        ("day", pa.date32()),
        ("topic_id", pa.string()),
        ("partition", pa.int32()),
        ("release", pa.string()),
        ("moment_day", pa.date32()),
        *((name, pa.int64()) for name in ("landed", "last_offset")),
        *((name, _TIME) for name in ("first_landed_at", "last_landed_at")),
        ("answered", pa.int64()),
        *((name, _TIME) for name in ("answers_landed_from", "last_moment")),
        *((name, pa.int64()) for name in ("first_answered", "first_failed")),
    ]
)

_FOLDER = (
    f"'workload_id=' || workload_id || '/day=' || coalesce(CAST(\"day\" AS VARCHAR), '{NO_DAY}')"
)
# One row per workload, day, source partition, release and day of the moment: an answer was not
# given after it landed, so that a clock that is ahead is bounded by the landing.
_COUNT = f"""
SELECT {_FOLDER} AS folder, workload_id, "day", topic_id, "partition", release,
    CAST(moment AT TIME ZONE 'UTC' AS DATE) AS moment_day,
    count(*) AS landed, max("offset") AS last_offset,
    min(landed_at) AS first_landed_at, max(landed_at) AS last_landed_at,
    count(*) FILTER (answered) AS answered,
    min(coalesce(landed_at, "timestamp")) FILTER (answered) AS answers_landed_from,
    max(moment) FILTER (answered) AS last_moment,
    count(*) FILTER (answered AND NOT duplicate) AS first_answered,
    count(*) FILTER (answered AND NOT duplicate AND failed) AS first_failed
FROM (
    SELECT *, least("timestamp", landed_at) AS moment, ({ANSWERED}) AS answered,
        {FAILED} AS failed FROM all_inferences)
GROUP BY ALL
"""  # noqa: S608 - constants of the project
_REPEATS = f"SELECT {_FOLDER} AS folder, count(*) FROM {LATER_EVENTS} GROUP BY ALL"  # noqa: S608
_SHOW = f"CREATE OR REPLACE TABLE {EVENT_FIGURES} AS SELECT * FROM fresh_figures"  # noqa: S608
_ERASED = "SELECT DISTINCT workload_id, subject_id FROM stored.erasures ORDER BY ALL"
_MADE_BY = f"duckdb {duckdb.__version__}, {hashlib.sha256(_COUNT.encode()).hexdigest()}"


@dataclass(frozen=True)
class _Basis:
    # What all figures rest on besides the files of their day.
    delta_id: str
    version: int
    erased: str

    def fits(self, other: "_Basis") -> bool:
        # Figures of a later version counted rows that are gone since a backup was restored.
        same = (self.delta_id, self.erased) == (other.delta_id, other.erased)
        return same and self.version <= other.version


class EventFigures:
    """Keep the table of figures up to date in one DuckDB; its caller holds the lake's lock.

    Args:
        root: folder of this machine for what is derived.
    """

    def __init__(self, root: Path) -> None:
        self._file = DerivedFile(root / EVENT_FIGURES_FILE)
        self._basis: _Basis | None = None
        self._figures = _COLUMNS.empty_table()
        # By folder: its files, and how many of its events repeat an id.
        self._prints: dict[str, str] = {}
        self._unsaved_rows = 0

    def forget(self) -> None:
        """Drop what is in memory: DuckDB was closed, or the table's log was replaced."""
        self._basis = None

    def refresh(
        self,
        connection: duckdb.DuckDBPyConnection,
        delta: DeltaTable | None,
        count: Callable[[str, Sequence[str]], pa.Table],
    ) -> None:
        """Count the days again that are not as they were.

        Args:
            connection: holds the table of figures, the positions of repeats and the erasures.
            delta: the present snapshot of the events; None before the first.
            count: runs a query over ``all_inferences`` of some data files, by their URIs.
        """
        basis = _basis(connection, delta)
        if basis == self._basis:
            return
        if self._basis is None or not self._basis.fits(basis):
            self._load(basis)
        folders = {} if delta is None else _folders(delta)
        prints = _fingerprints(connection, folders)
        changed = {name for name, text in prints.items() if self._prints.get(name) != text}
        fresh = count(_COUNT, [uri for name in sorted(changed) for uri in folders[name]])
        unchanged = pa.array(sorted(prints.keys() - changed), pa.string())
        stay = pc.is_in(self._figures["folder"], unchanged)
        self._figures = pa.concat_tables([self._figures.filter(stay), fresh.cast(_COLUMNS)])
        self._prints, self._basis = prints, basis
        connection.register("fresh_figures", self._figures)
        connection.execute(_SHOW)
        connection.unregister("fresh_figures")
        self._unsaved_rows += int(pc.sum(fresh["landed"]).as_py() or 0)
        if self._unsaved_rows >= _UNSAVED_ROWS and self._file.write(self._dump):
            self._unsaved_rows = 0

    def _load(self, basis: _Basis) -> None:
        self._figures, self._prints, self._unsaved_rows = _COLUMNS.empty_table(), {}, 0

        def parse(content: bytes) -> tuple[pa.Table, dict[str, str]] | None:
            figures = pq.read_table(pa.BufferReader(content))
            about = json.loads(figures.schema.metadata[_ABOUT])
            if about["made_by"] != _MADE_BY or not _Basis(**about["basis"]).fits(basis):
                return None
            return figures.cast(_COLUMNS), about["prints"]

        self._figures, self._prints = self._file.read(parse) or (self._figures, self._prints)

    def _dump(self, file: BinaryIO) -> None:
        assert self._basis is not None  # refresh() has set it
        about = {"made_by": _MADE_BY, "basis": asdict(self._basis), "prints": self._prints}
        figures = self._figures.replace_schema_metadata({_ABOUT: json.dumps(about)})
        pq.write_table(figures, file, compression="zstd")


def _basis(connection: duckdb.DuckDBPyConnection, delta: DeltaTable | None) -> _Basis:
    erased = hashlib.sha256(repr(connection.execute(_ERASED).fetchall()).encode()).hexdigest()
    if delta is None:
        return _Basis("", 0, erased)
    return _Basis(str(delta.metadata().id), int(delta.version()), erased)


def _folders(delta: DeltaTable) -> dict[str, list[str]]:
    # The data files of each workload's day, by the name of their folder.
    folders: dict[str, list[str]] = defaultdict(list)
    for uri in data_files(delta):
        folders["/".join(uri.rsplit("/", 3)[1:3])].append(uri)
    return folders


def _fingerprints(
    connection: duckdb.DuckDBPyConnection, folders: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    repeats: dict[str, int] = dict(connection.execute(_REPEATS).fetchall())
    return {
        name: hashlib.sha256(f"{repeats.get(name, 0)} {sorted(uris)}".encode()).hexdigest()
        for name, uris in folders.items()
    }
