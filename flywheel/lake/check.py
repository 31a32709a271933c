"""`check_table`: whether the files of a lake table contain what was written into them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.errors import FlywheelError, IntegrityError, TransientError
from flywheel.lake.digests import (
    NO_DIGEST,
    FileDigest,
    TableDigests,
    commit_files,
    damage_sentences,
)
from flywheel.lake.handles import TableHandle
from flywheel.lake.location import LakePath
from flywheel.lake.store import Lake
from flywheel.lake.verified_files import VerifiedFiles

__all__ = ["TableCheck", "accept_files", "check_table", "damaged_files", "require_unchanged"]

_SHOWN = 3


@dataclass(frozen=True)
class TableCheck:
    """What was found in one table.

    Attributes:
        table: its name.
        files: how many data files its newest version has.
        later: files whose digest was taken some time after they were written.
        undigested: files that have none: they can be read, and nothing more is known.
        problems: what is not as it was written, one sentence each.
        untouched: files that an earlier check read, and that were not touched since.
    """

    table: str
    files: int
    later: int
    undigested: int
    problems: tuple[str, ...]
    untouched: int = 0

    def sentence(self) -> str:
        """Say in one line what was found; ``BROKEN`` opens one that is not as it was written."""
        if self.problems:
            more = len(self.problems) - _SHOWN
            tail = f", and {more} more" if more > 0 else ""
            return f"BROKEN: {', '.join(self.problems[:_SHOWN])}{tail}"
        parts = [f"{self.files - self.undigested} files unchanged"]
        if self.untouched:
            parts.append(
                f"{self.untouched} of them read by an earlier check and not touched since "
                "(`flywheel verify --full` reads all)"
            )
        if self.later:
            parts.append(f"{self.later} of them since their digests were taken, after the writing")
        if self.undigested:
            parts.append(
                f"{self.undigested} readable and not verified: written before digests were kept, "
                "or in a crash (maintenance takes their digests)"
            )
        return ", ".join(parts)


def check_table(lake: Lake, name: str, verified: VerifiedFiles | None = None) -> TableCheck | None:
    """Compare the data files of a table with their digests; None where there never was a table.

    Args:
        lake: the lake.
        name: of the table.
        verified: what earlier checks found, which is kept up to date: files that were not touched
            since are not read. None: every file is read.

    Raises:
        UnavailableError: the object store does not answer.
    """
    handle = lake.handle(name)
    try:
        with lake.lock:
            handle.forget()
            delta = handle.refresh()
            if delta is None:
                gone = lake.digests.read(name) is not None
                return TableCheck(name, 0, 0, 0, ("the table is gone",)) if gone else None
            identity, version, files = str(delta.metadata().id), delta.version(), handle.files()
            complete = handle.is_complete
            # Read once, after the files were listed: a writer that appends meanwhile also records a
            # digest.
            recorded = lake.digests.read(name)
            with_digests = 0 if recorded is not None else handle.commits_with_digests()
    except TransientError:
        raise  # nothing is known of the table: that is no damage
    except FlywheelError as error:
        return TableCheck(name, 0, 0, 0, (error.message,))
    problems = [] if recorded is None else damage_sentences(recorded.damage)
    # One commit may have lost its digest to a crash; the next one records its own.
    if with_digests > 1:
        problems.append("its digests are gone: nothing tells whether its files were changed")
    if recorded is not None and recorded.delta_id != identity:
        problems.append("the table was recreated, and what it held before is gone")
    elif recorded is not None and recorded.version > _reached(lake, handle, recorded, version):
        problems.append(f"the table is at version {version}, and {recorded.version} was written")
    digests = {} if recorded is None else recorded.files
    undigested = [path for path in files if path not in digests]
    untouched = verified.untouched(name, files, digests) if verified is not None else set()
    entries = verified.entries(files, digests) if verified is not None else {}
    differences = _differences(
        {path: file for path, file in files.items() if path not in untouched}, digests
    )
    if verified is not None:
        verified.keep(name, entries, entries.keys() - differences.keys())
    problems += _sentences(differences)
    if complete:
        problems += _lost(undigested, _unrecorded(handle.folder, recorded, version))
    problems += [text for path in undigested if (text := _unreadable(path, files[path]))]
    later = sum(digests[path].later for path in files if path in digests)
    return TableCheck(name, len(files), later, len(undigested), tuple(problems), len(untouched))


def accept_files(lake: Lake, name: str) -> int:
    """Take the digests of files that have lost them, and return how many; changes no other finding.

    A file that differs from its digest, or cannot be read, stays a finding.
    """
    handle = lake.handle(name)

    def adopt() -> int:
        return 0 if handle.refresh() is None else handle.adopt_files()

    adopted = lake.retry(adopt)
    lake.digests.accept(name)
    return adopted


def require_unchanged(lake: Lake, names: Sequence[str]) -> None:
    """Raise where a table's files are not what was written.

    Raises:
        IntegrityError: a file is missing or has other content.
        UnavailableError: the object store does not answer.
    """
    for name in names:
        problems = check_table(lake, name)
        if problems is not None and problems.problems:
            raise IntegrityError(
                f"The lake table {name} is not as it was written: {problems.sentence()}",
                next_step="restore it from a backup (`flywheel restore`); nothing is built of it",
            )


def damaged_files(handle: TableHandle, lake: Lake, paths: Sequence[str]) -> list[str]:
    """Return what differs among some files of a table; hold the lake's lock."""
    files, digests = handle.files(), lake.digests.of(handle.table.name)
    listed_files = {path: files[path] for path in paths if path in files}
    lost = [path for path in listed_files if path not in digests] if handle.is_complete else []
    return _sentences(_differences(listed_files, digests)) + _lost(lost, frozenset())


def _reached(lake: Lake, handle: TableHandle, recorded: TableDigests, version: int) -> int:
    # A writer that committed after the files were listed has recorded a newer version.
    if recorded.version <= version:
        return version
    with lake.lock:
        delta = handle.refresh()
        return version if delta is None else int(delta.version())


def _unrecorded(folder: LakePath, recorded: TableDigests | None, version: int) -> frozenset[str]:
    # The files of commits that are not recorded yet: a process ended, or is about to record them.
    if recorded is None:
        return frozenset()
    changes = [commit_files(folder, one) for one in range(recorded.version + 1, version + 1)]
    return frozenset(path for change in changes if change is not None for path in change[0])


def _lost(undigested: Sequence[str], unrecorded: frozenset[str]) -> list[str]:
    lost = [path for path in undigested if path not in unrecorded]
    if not lost:
        return []
    more = f", and so have {len(lost) - 1} more" if len(lost) > 1 else ""
    sentence = (
        f"{lost[0]} {NO_DIGEST}{more}: nothing tells whether they were changed (restore "
        "lake/digests.db from a backup, or accept them as they are with `flywheel accept-files`)"
    )
    return [sentence]


def _differences(
    files: Mapping[str, LakePath], digests: Mapping[str, FileDigest]
) -> dict[str, str]:
    differences = {
        path: digests[path].difference(file) for path, file in files.items() if path in digests
    }
    return {path: text for path, text in differences.items() if text is not None}


def _sentences(differences: Mapping[str, str]) -> list[str]:
    return [f"{path} {text}" for path, text in differences.items()]


def _unreadable(name: str, path: LakePath) -> str | None:
    try:
        with path.open("rb") as file:
            pq.ParquetFile(file).read()
    except (OSError, pa.ArrowException) as error:
        return f"{name} cannot be read: {' '.join(str(error).split())[:200]}"
    return None
