"""`Digests`: what every data file of the lake contained when it was written.

Delta's log names files and does not say what is in them, so a flipped bit is another value and
it goes unnoticed. Path, size and sha256 of each data file are recorded right after the commit that
added it: on a disk by `file_digests`, in an object store by `object_digests`. `Lake` records,
`check` compares.
"""

import hashlib
import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from flywheel.lake.location import LakePath

if TYPE_CHECKING:
    from deltalake import DeltaTable

__all__ = [
    "NO_DIGEST",
    "CommitDigests",
    "Digests",
    "FileDigest",
    "TableDigests",
    "adopted_digests",
    "commit_digests",
    "commit_files",
    "damage_sentences",
    "data_files",
    "digest_of",
    "relative_path",
]

NO_DIGEST = "has lost its digest"


@dataclass(frozen=True)
class FileDigest:
    """What a data file contained; ``later`` says that it was read some time after its commit."""

    size: int
    sha256: str
    later: bool = False

    def difference(self, path: LakePath) -> str | None:
        """Return how a file differs from what was written, None where it does not."""
        try:
            now = digest_of(path)
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if now.size != self.size:
            return f"has {now.size:,} bytes, {self.size:,} were written"
        return None if now.sha256 == self.sha256 else "has other content than was written"


@dataclass(frozen=True)
class CommitDigests:
    """What one commit added and removed; ``damaged`` says how removed files had changed."""

    added: Mapping[str, FileDigest]
    removed: Sequence[str]
    damaged: Mapping[str, str]


@dataclass(frozen=True)
class TableDigests:
    """Everything that is recorded of a table.

    Attributes:
        delta_id: Delta's id of it.
        version: newest version that was recorded.
        files: digests by path.
        damage: by path of a replaced file, the version written from it and what was damaged.
    """

    delta_id: str
    version: int
    files: dict[str, FileDigest]
    damage: dict[str, tuple[int, str]]


class Digests(Protocol):
    """Digests of a lake's data files, wherever they are kept."""

    def close(self) -> None:
        """Let go of what is open."""

    def begin(self, table: str, delta_id: str, version: int) -> None:
        """Record a table that has no data file yet."""

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
        """Record what one commit added, and check what it replaced."""

    def adopt(self, table: str, delta_id: str, version: int, files: Mapping[str, LakePath]) -> int:
        """Record files that have no digest yet, as they are now; return how many."""

    def accept(self, table: str) -> None:
        """Forget that files had lost their digests when they were replaced."""

    def of(self, table: str) -> dict[str, FileDigest]:
        """Return the digests of a table's files, by their path below its folder."""

    def table(self, table: str) -> tuple[str, int] | None:
        """Return Delta's id and the newest recorded version of a table."""

    def read(self, table: str) -> TableDigests | None:
        """Return everything that is recorded of a table."""

    def write(self, table: str, state: TableDigests) -> None:
        """Record the state of a table that has none yet."""


def digest_of(path: LakePath) -> FileDigest:
    """Read a file and return its size and sha256."""
    with path.open("rb") as file:
        return FileDigest(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def adopted_digests(
    files: Mapping[str, LakePath], recorded: Container[str]
) -> dict[str, FileDigest]:
    """Read the files that have no digest yet, by their path below the table's folder."""
    return {
        name: replace(digest_of(path), later=True)
        for name, path in files.items()
        if name not in recorded
    }


def damage_sentences(damage: Mapping[str, tuple[int, str]]) -> list[str]:
    """Write out the ``damage`` of a `TableDigests`."""
    return [
        f"{path} {finding}; version {version} was written from it"
        for path, (version, finding) in sorted(damage.items())
    ]


def commit_files(folder: LakePath, version: int) -> tuple[list[str], list[str]] | None:
    """Return the data files that a commit added and removed; None where its log entry is gone."""
    entry = folder / "_delta_log" / f"{version:020d}.json"
    try:
        lines = entry.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    actions = [json.loads(line) for line in lines]
    added = [unquote(action["add"]["path"]) for action in actions if "add" in action]
    removed = [unquote(action["remove"]["path"]) for action in actions if "remove" in action]
    return added, removed


def commit_digests(
    folder: LakePath,
    version: int,
    recorded: Callable[[], TableDigests | None],
    *,
    complete: bool,
    later: bool,
) -> CommitDigests | None:
    """Read what one commit added and removed, while both are there; None without its log entry.

    Args:
        folder: of the table.
        version: number of the commit.
        recorded: returns what is recorded of the table; asked only where something was removed.
        complete: every file of the table has a digest.
        later: the commit is an earlier one, whose process ended before it recorded.

    Raises:
        OSError: a file cannot be read.
    """
    changes = commit_files(folder, version)
    if changes is None:
        return None
    added, removed = changes
    digests = {path: replace(digest_of(folder / path), later=later) for path in added}
    state = recorded() if removed else None
    before = {} if state is None else state.files
    # Another process that recorded this commit has dropped what it removed.
    complete = complete and (state is None or state.version < version)
    damaged = {
        path: finding
        for path in removed
        if (finding := _replaced(before.get(path), folder / path, complete=complete)) is not None
    }
    return CommitDigests(digests, removed, damaged)


def _replaced(digest: FileDigest | None, path: LakePath, *, complete: bool) -> str | None:
    if digest is None:
        return NO_DIGEST if complete else None
    return digest.difference(path)


def data_files(delta: "DeltaTable") -> list[str]:
    """Return the data files of a snapshot as they are opened: paths, or URIs in an object store."""
    uris, root = delta.file_uris(), delta.table_uri
    if not root.startswith("file://") or "%" not in root:
        return uris
    # Of a local path delta-rs encodes the table's folder, and what is below it is as on disk.
    encoded = root.removeprefix("file://")
    folder = unquote(encoded)
    return [folder + uri.removeprefix(encoded) for uri in uris]


def relative_path(folder: LakePath, uri: str) -> str:
    """Return the path of a table's data file below the table's folder."""
    if isinstance(folder, Path):
        return Path(uri.removeprefix("file://")).relative_to(folder).as_posix()
    return uri.removeprefix(f"{folder}/")
