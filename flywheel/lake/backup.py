"""`copy_lake` and `put_lake`: copy every table at one version each, and bring a copy to its place."""

import shutil
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from flywheel.errors import RefusedError, StorageError, UnavailableError
from flywheel.io.retry import RetryPolicy, retried
from flywheel.io.sqlite_file import copy_database
from flywheel.lake.digests import Digests, data_files, relative_path
from flywheel.lake.file_digests import DIGESTS_FILE, FileDigests
from flywheel.lake.location import LakeLocation, LakePath
from flywheel.lake.object_digests import ObjectDigests
from flywheel.lake.object_path import ObjectPath
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES

__all__ = ["copy_lake", "put_lake"]

_REWRITTEN = RetryPolicy(attempts=5)


def copy_lake(lake: Lake, target: Path) -> None:
    """Copy log and data files of every table; the copy opens at the version that was copied.

    Raises:
        StorageError: a table or one of its files cannot be read.
        UnavailableError: a table was rewritten again and again meanwhile.
    """
    # First, so that it never speaks of versions or files that the copies do not have.
    if lake.location.is_remote:
        _copy_digests(lake.digests, FileDigests(target))
    else:
        copy_database(lake.location.local / DIGESTS_FILE, target / DIGESTS_FILE)
    for name in TABLES:
        if (lake.root / name / "_delta_log").is_dir():
            _copy_table(lake.location, name, target / name)


def put_lake(folder: Path, location: LakeLocation) -> None:
    """Bring a copy of a lake into an empty place in an object store.

    The entries of a table's log come last and in order, so that a table is complete or not there.

    Raises:
        RefusedError: there is something already.
        UnavailableError: the store does not answer.
    """
    root = location.root
    assert isinstance(root, ObjectPath)
    try:
        if root.exists():
            raise RefusedError(f"{root} is not empty.", next_step="give a new folder in the bucket")
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        _copy_digests(FileDigests(folder), ObjectDigests(root))
        tables = [path for path in files if path.relative_to(folder).parts[0] in TABLES]
        for path in sorted(tables, key=lambda path: path.parent.name == "_delta_log"):
            with (
                path.open("rb") as content,
                (root / path.relative_to(folder).as_posix()).create() as target,
            ):
                shutil.copyfileobj(content, target)
    except OSError as error:
        raise location.error(f"{folder} cannot be brought to its place", error) from error


def _copy_digests(source: Digests, target: Digests) -> None:
    for name in TABLES:
        state = source.read(name)
        if state is not None:
            target.write(name, state)
    target.close()


def _copy_table(location: LakeLocation, name: str, target: Path) -> None:
    source = location.root / name
    try:
        # Maintenance may remove log entries in between.
        retried(
            lambda: _copy_once(source, target, location.delta_options),
            _REWRITTEN,
            (DeltaError, FileNotFoundError, UnavailableError),
        )
    except (DeltaError, FileNotFoundError) as error:
        raise StorageError(
            f"The lake table {source.name} cannot be copied in {_REWRITTEN.attempts} attempts: {error}",
            next_step="see `flywheel verify`; restore what is damaged before a new backup",
        ) from error


def _copy_once(source: LakePath, target: Path, options: dict[str, str] | None) -> None:
    shutil.rmtree(target, ignore_errors=True)
    delta = DeltaTable(str(source), storage_options=options)
    version, files = int(delta.version()), sorted(data_files(delta))
    _copy_files(source, target, [relative_path(source, uri) for uri in files])
    _copy_log(source / "_delta_log", target / "_delta_log", version)
    copied = DeltaTable(target)
    if (int(copied.version()), len(copied.file_uris())) != (version, len(files)):
        raise UnavailableError(
            f"The lake table {source.name} changes while it is copied: the copy is at version "
            f"{copied.version()}, not {version}.",
            next_step="back up again when maintenance has ended",
        )


def _copy_files(source: LakePath, target: Path, names: list[str]) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _copy_file(source / name, target / name)


def _copy_log(source: LakePath, target: Path, version: int) -> None:
    # Without `_last_checkpoint`, which may name a later one: Delta finds the newest by itself.
    target.mkdir(parents=True, exist_ok=True)
    entries: list[LakePath] = [*source.iterdir()]
    for path in sorted(entries, key=str):
        number = path.name.partition(".")[0]
        if number.isdecimal() and int(number) <= version and path.is_file():
            _copy_file(path, target / path.name)


def _copy_file(source: LakePath, target: Path) -> None:
    if isinstance(source, Path):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as content, target.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
