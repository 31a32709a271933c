"""`count_events`: the events of the lake counted for the ledger, from the files that no proof has seen.

A proof that balanced is kept beside the lake: which data files it rests on, how many rows of each
source they hold with a sum over hashes of position and id, and up to which position of each source
it reaches. The next one reads the files that came since. Rows below those positions must be the very
rows of files that are gone (compaction): same number, same sum. Rows above them are new, and can
repeat no position from below. Where anything else is found, and on request, all rows are counted.
"""

# ruff: noqa: S608 - constants of the project make up these queries

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from flywheel.ingest.event_proof import (
    Account,
    EventProof,
    Letters,
    Source,
    read_proof,
    write_proof,
)
from flywheel.io.records import Row
from flywheel.lake.digests import data_files, relative_path
from flywheel.lake.store import Lake
from flywheel.lake.views import LATER_EVENTS

__all__ = ["EventCount", "count_events", "keep_proof"]

# Sources are written as topic/partition. `proven` is the position up to which a proof reaches.
_WITH_POSITIONS = """
WITH proven AS (
  SELECT unnest($sources::VARCHAR[]) AS source, unnest($positions::BIGINT[]) AS position
), event AS (
  SELECT coalesce(topic_id, '') || '/' || coalesce("partition", -1) AS source, e."offset",
    e.workload_id, e.inference_id, file,
    hash(topic_id, "partition", e."offset", e.workload_id, e.inference_id) AS digest
  FROM new_events AS e
), placed AS (
  SELECT event.*, event."offset" < coalesce(proven.position, 0) AS below
  FROM event LEFT JOIN proven USING (source)
)
"""
_BY_FILE = f"""{_WITH_POSITIONS}
SELECT file, source, count(*) AS rows, CAST(sum(digest) AS VARCHAR) AS digest,
  count(*) FILTER (below) AS below, CAST(sum(digest) FILTER (below) AS VARCHAR) AS below_digest
FROM placed GROUP BY file, source
"""
_ABOVE = f"""{_WITH_POSITIONS}
SELECT source, count(*) AS rows, count(DISTINCT "offset") AS positions,
  max("offset") AS last, count(*) > count("offset") AS unplaced FROM placed
WHERE below IS NOT TRUE GROUP BY source
"""
_KEYS = f"""{_WITH_POSITIONS}
SELECT DISTINCT hash(workload_id, inference_id) AS id FROM placed WHERE below IS NOT TRUE
"""
# `old_events` are the other files of the folders that may hold one of the new ids.
_NEW_IDS = f"""{_WITH_POSITIONS}, fresh AS (
  SELECT DISTINCT workload_id, inference_id FROM placed WHERE below IS NOT TRUE
), before AS (
  SELECT workload_id, inference_id FROM old_events
  UNION ALL SELECT workload_id, inference_id FROM placed WHERE below
)
SELECT count(*) AS ids FROM fresh ANTI JOIN before USING (workload_id, inference_id)
"""
# Dead letters of a topic that were read; one whose position landed too is none: its process was
# killed in between, or it was replayed (whose row lies below, so that all rows are counted).
_DEAD = """
WITH proven AS (
  SELECT unnest($sources::VARCHAR[]) AS source, unnest($positions::BIGINT[]) AS position
), here AS (
  SELECT unnest($here::VARCHAR[]) AS source, unnest($next::BIGINT[]) AS next
), letter AS (
  SELECT source, d."offset", hash(source, d."offset") AS digest,
    d."offset" < coalesce(proven.position, 0) AS below
  FROM (SELECT *, topic_id || '/' || "partition" AS source FROM stored.dead_letters) AS d
  JOIN here USING (source) LEFT JOIN proven USING (source) WHERE d."offset" < here.next
), landed AS (
  SELECT topic_id || '/' || "partition" AS source, "offset" FROM new_events
), dead AS (
  SELECT letter.*, EXISTS (SELECT 1 FROM landed WHERE landed.source = letter.source
    AND landed."offset" = letter."offset") AS landed FROM letter
)
SELECT source, count(*) AS rows, CAST(sum(digest) AS VARCHAR) AS digest,
  count(*) FILTER (below) AS below, CAST(sum(digest) FILTER (below) AS VARCHAR) AS below_digest,
  count(*) FILTER (NOT below AND NOT landed) AS dead,
  count(DISTINCT "offset") FILTER (NOT below AND NOT landed) AS dead_positions
FROM dead GROUP BY source
"""
_REPEATS = f"SELECT count(*) AS repeats FROM {LATER_EVENTS}"
_REPEATS_OF_ALL = f"""
SELECT count(*) AS repeats FROM new_events AS i SEMI JOIN {LATER_EVENTS} AS later
ON later.topic_id = i.topic_id AND later."partition" = i."partition" AND later."offset" = i."offset"
"""


@dataclass(frozen=True)
class EventCount:
    """What the lake holds of inference events.

    Attributes:
        landed: rows by source (``topic/partition``).
        positions: distinct offsets by source.
        dead: dead letters that did not land, and their distinct offsets, by source.
        distinct_ids: of all rows.
        duplicates: rows whose id came before.
        proof: what the next proof may rest on, once this one balances; None where nothing may.
        files_read: how many data files were counted now.
    """

    landed: Mapping[Source, int]
    positions: Mapping[Source, int]
    dead: Mapping[Source, tuple[int, int]]
    distinct_ids: int
    duplicates: int
    proof: EventProof | None
    files_read: int

    def of_source(self, source: Source) -> dict[str, int]:
        """Return the columns of a partition's account."""
        dead, dead_positions = self.dead.get(source, (0, 0))
        return {
            "landed": self.landed.get(source, 0),
            "positions": self.positions.get(source, 0),
            "dead": dead,
            "dead_positions": dead_positions,
        }

    @property
    def ids(self) -> tuple[int, int, int]:
        """All rows, their distinct ids, and the rows whose id came before."""
        return sum(self.landed.values()), self.distinct_ids, self.duplicates

    @property
    def ids_add_up(self) -> bool:
        """Whether rows less repeats are the distinct ids."""
        return self.distinct_ids == sum(self.landed.values()) - self.duplicates


def count_events(
    lake: Lake, next_positions: Mapping[Source, int], *, full: bool = False
) -> EventCount:
    """Count rows, positions and ids; from the files that no proof rests on, where that is enough.

    Hold the lake's lock, so that positions and files are of one snapshot.

    Args:
        lake: holds the events.
        next_positions: next offset to read of each source, up to which dead letters count.
        full: count all rows.
    """
    delta = lake.handle("inferences").refresh()
    basis, files = EventProof(), frozenset[str]()
    if delta is not None:
        basis = EventProof(str(delta.metadata().id), int(delta.version()))
        files = frozenset(relative_path(lake.root / "inferences", uri) for uri in data_files(delta))
    counted = None
    if not full:
        counted = _Counting(lake, basis, read_proof(lake, basis), files).run(next_positions)
    # Nothing rests on no proof, so that this counts all rows.
    counted = counted or _Counting(lake, basis, basis, files).run(next_positions)
    assert counted is not None
    return counted


def keep_proof(lake: Lake, count: EventCount) -> None:
    """Keep what a ledger that balances rests on; a process that may not write keeps nothing."""
    if count.proof is not None and count.files_read:
        # Without it the next proof counts all rows.
        write_proof(lake, count.proof)


class _Counting:
    # One count: the files that `before` does not rest on are new.
    def __init__(
        self, lake: Lake, basis: EventProof, before: EventProof, files: AbstractSet[str]
    ) -> None:
        self.lake, self.basis, self.before, self.files = lake, basis, before, files
        self.new = sorted(files - before.files.keys())
        self.proven = {
            "sources": list(before.positions),
            "positions": list(before.positions.values()),
        }

    def run(self, next_positions: Mapping[Source, int]) -> EventCount | None:
        # None where what lies below the proven positions is not what the proof saw there.
        by_file = self._query(_BY_FILE, self.proven)
        gone = [self.before.files[path] for path in self.before.files.keys() - self.files]
        letters = self._letters(next_positions)
        if _below(by_file) != _added(gone) or letters is None:
            return None
        accounts = self._accounts(by_file)
        landed = {source: rows for source, (rows, _) in _added(accounts.values()).items()}
        above = self._query(_ABOVE, self.proven)
        positions = dict(landed)
        for row in above:
            positions[row["source"]] -= row["rows"] - row["positions"]
        reached = {source: _position(self.lake, source) for source in landed}
        reached.update(next_positions)
        ids = self.before.distinct_ids + self._new_ids()
        # Positions are only ever added to: one without a row would not let the ids add up.
        repeats = self._query(_REPEATS if self.before.files else _REPEATS_OF_ALL, {})
        proof = replace(
            self.basis,
            files=accounts,
            positions=reached,
            distinct_ids=ids,
            dead=letters,
        )
        dead = {source: (rows, places) for source, (_, _, rows, places) in letters.items()}
        # What lies above its own position could come again without being noticed.
        sound = all(not row["unplaced"] and row["last"] < reached[row["source"]] for row in above)
        return EventCount(
            landed,
            positions,
            dead,
            ids,
            repeats[0]["repeats"],
            proof if sound else None,
            len(self.new),
        )

    def _query(self, sql: str, parameters: Mapping[str, Any], **views: Sequence[str]) -> list[Row]:
        views = {"new_events": self.new, **views}
        return list(self.lake.query_files(sql, parameters, views).to_pylist())

    def _accounts(self, by_file: Sequence[Mapping[str, Any]]) -> Mapping[str, Account]:
        accounts = {
            path: dict(self.before.files[path]) for path in self.before.files.keys() & self.files
        }
        accounts |= {path: {} for path in self.new}
        for row in by_file:
            path = relative_path(self.lake.root / "inferences", row["file"])
            accounts[path][row["source"]] = row["rows"], row["digest"]
        return accounts

    def _letters(self, next_positions: Mapping[Source, int]) -> dict[Source, Letters] | None:
        here = {"here": list(next_positions), "next": list(next_positions.values())}
        rows = self._query(_DEAD, self.proven | here)
        seen = self.before.dead
        if _below(rows) != _added([{s: (n, digest) for s, (n, digest, _, _) in seen.items()}]):
            return None
        letters = {}
        for row in rows:
            _, _, dead, places = seen.get(row["source"], (0, "0", 0, 0))
            letters[row["source"]] = (
                row["rows"], row["digest"], dead + row["dead"], places + row["dead_positions"],
            )  # fmt: skip
        return letters

    def _new_ids(self) -> int:
        table = self.lake.query_files(_KEYS, self.proven, {"new_events": self.new})
        folders = self.lake.event_folders(np.asarray(table["id"].to_numpy(), dtype=np.uint64))
        old = [
            path
            for path in self.files - set(self.new)
            if PurePosixPath(path).parent.as_posix() in folders
        ]
        return int(self._query(_NEW_IDS, self.proven, old_events=old)[0]["ids"])


def _position(lake: Lake, source: Source) -> int:
    topic, _, partition = source.rpartition("/")
    return lake.position("inferences", topic, int(partition)) or 0


def _below(rows: Iterable[Mapping[str, Any]]) -> dict[Source, tuple[int, int]]:
    return _added([{row["source"]: (row["below"], row["below_digest"] or "0")} for row in rows])


def _added(accounts: Iterable[Account]) -> dict[Source, tuple[int, int]]:
    # Rows and the sum of their hashes, by source.
    sums: dict[Source, tuple[int, int]] = {}
    for account in accounts:
        for source, (rows, digest) in account.items():
            if rows:
                before = sums.get(source, (0, 0))
                sums[source] = before[0] + rows, before[1] + int(digest)
    return sums
