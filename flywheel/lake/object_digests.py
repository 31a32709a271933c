"""`ObjectDigests`: the digests of a lake in an object store, beside its tables, for every machine.

One small object per commit says what the commit added and removed; after some of them, one says what
all of them said, and they go. Objects are never changed, and what they say does not depend on their
order: machines that write at the same time, or the same thing twice, take no harm.
"""

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.errors import UnavailableError
from flywheel.io.records import JsonObject
from flywheel.lake.digests import (
    NO_DIGEST,
    CommitDigests,
    Digests,
    FileDigest,
    TableDigests,
    adopted_digests,
    commit_digests,
)
from flywheel.lake.file_digests import FileDigests
from flywheel.lake.location import LakeLocation, LakePath
from flywheel.lake.object_path import ObjectPath

__all__ = ["ObjectDigests", "open_digests"]

_FOLDER = "_digests"
_MOST_ENTRIES = 40
_READS = 5


def open_digests(location: LakeLocation) -> Digests:
    """Return the digests of a lake: in a file on its disk, or beside its tables in the store."""
    root = location.root
    return ObjectDigests(root) if isinstance(root, ObjectPath) else FileDigests(location.local)


class ObjectDigests:
    """Record and return the digests of data files; safe for several machines, not for threads.

    Args:
        root: of the lake.
    """

    def __init__(self, root: ObjectPath) -> None:
        self._root = root / _FOLDER
        self._entries: dict[str, dict[str, dict[str, Any]]] = {}

    def close(self) -> None:
        """Forget what was read."""
        self._entries.clear()

    def begin(self, table: str, delta_id: str, version: int) -> None:
        """Record a table that has no data file yet: it has lost nothing."""
        self._put(table, delta_id, version)

    def record(
        self,
        table: str,
        delta_id: str,
        folder: LakePath,
        version: int,
        *,
        complete: bool = False,
        later: bool = False,
    ) -> None:
        """Record what one commit added, and check what it replaced; see `FileDigests.record`."""
        commit = commit_digests(
            folder, version, lambda: self.read(table), complete=complete, later=later
        )
        if commit is None:
            return
        self._put(table, delta_id, version, commit)
        if len(self._read(table)) > _MOST_ENTRIES:
            self._put_together(table)

    def adopt(self, table: str, delta_id: str, version: int, files: Mapping[str, LakePath]) -> int:
        """Record files that have no digest yet, as they are now; return how many."""
        added = adopted_digests(files, self.of(table))
        self._put(table, delta_id, version, CommitDigests(added, [], {}))
        return len(added)

    def accept(self, table: str) -> None:
        """Forget that files had lost their digests when they were replaced."""
        state = self.read(table)
        if state is not None:
            self._put(table, state.delta_id, state.version, accepted=True)

    def of(self, table: str) -> dict[str, FileDigest]:
        """Return the digests of a table's files, by their path below its folder."""
        state = self.read(table)
        return {} if state is None else state.files

    def table(self, table: str) -> tuple[str, int] | None:
        """Return Delta's id and the newest recorded version of a table."""
        state = self.read(table)
        return None if state is None else (state.delta_id, state.version)

    def read(self, table: str) -> TableDigests | None:
        """Return everything that is recorded of a table, None where nothing is."""
        return _folded(self._read(table))

    def write(self, table: str, state: TableDigests) -> None:
        """Record the state of a table that has none yet."""
        self._put_state(table, state)

    def _put_together(self, table: str) -> None:
        before = dict(self._read(table))
        state = _folded(before)
        assert state is not None
        self._put_state(table, state)
        for name in before:
            # Another machine may have removed it: what it said is in that one's object too.
            (self._root / table / name).remove()

    def _put_state(self, table: str, state: TableDigests) -> None:
        damaged = {path: finding for path, (_, finding) in state.damage.items()}
        versions = {path: version for path, (version, _) in state.damage.items()}
        commit = CommitDigests(state.files, [], damaged)
        self._put(table, state.delta_id, state.version, commit, versions=versions)

    def _put(
        self,
        table: str,
        delta_id: str,
        version: int,
        commit: CommitDigests | None = None,
        *,
        versions: Mapping[str, int] | None = None,
        accepted: bool = False,
    ) -> None:
        commit = commit or CommitDigests({}, [], {})
        entry = {
            "delta_id": delta_id,
            "version": version,
            "accepted": accepted,
            "files": {
                path: [one.size, one.sha256, one.later] for path, one in commit.added.items()
            },
            "removed": list(commit.removed),
            "damage": [
                [path, (versions or {}).get(path, version), finding]
                for path, finding in commit.damaged.items()
            ],
        }
        # In the order of the versions, then of time: what was accepted comes after its finding.
        name = f"{version:020d}-{time.time_ns():020d}-{secrets.token_hex(4)}.json"
        with (self._root / table / name).create() as stream:
            stream.write(json.dumps(entry).encode())
        self._entries.setdefault(table, {})[name] = entry

    def _read(self, table: str) -> dict[str, JsonObject]:
        known = self._entries.setdefault(table, {})
        for _ in range(_READS):
            try:
                names = [path.name for path in (self._root / table).iterdir()]
                known = {name: known.get(name) or self._entry(table, name) for name in names}
            except FileNotFoundError:
                continue  # another machine has put several together at this moment
            except OSError as error:
                location = LakeLocation(self._root, Path())
                raise location.error(f"The digests of {table} cannot be read", error) from error
            self._entries[table] = known
            return known
        raise UnavailableError(
            f"The digests of {table} change while they are read.",
            next_step="try again when less is written",
        )

    def _entry(self, table: str, name: str) -> JsonObject:
        entry: dict[str, Any] = json.loads((self._root / table / name).read_bytes())
        return entry


def _folded(entries: Mapping[str, JsonObject]) -> TableDigests | None:
    if not entries:
        return None
    in_order = [entries[name] for name in sorted(entries)]
    delta_id = str(in_order[0]["delta_id"])
    files: dict[str, FileDigest] = {}
    damage: dict[str, tuple[int, str]] = {}
    for entry in in_order:
        for path, (size, sha256, later) in entry["files"].items():
            known = files.get(path)
            # Two machines read the same file: the one that wrote it knows more.
            is_later = bool(later) and (known is None or known.later)
            files[path] = FileDigest(size, sha256, is_later)
        for path, version, finding in entry["damage"]:
            damage.setdefault(path, (version, finding))
        if entry["accepted"]:
            damage = {path: one for path, one in damage.items() if one[1] != NO_DIGEST}
    for path in {path for entry in in_order for path in entry["removed"]}:
        files.pop(path, None)
    version = max(int(entry["version"]) for entry in in_order if entry["delta_id"] == delta_id)
    return TableDigests(delta_id, version, files, damage)
