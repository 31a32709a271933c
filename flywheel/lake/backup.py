"""`copy_lake`: copy every table at one version each, while writers continue."""

import shutil
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from flywheel.errors import StorageError, UnavailableError
from flywheel.io.retry import RetryPolicy, retried
from flywheel.io.sqlite_file import copy_database
from flywheel.lake.digests import DIGESTS_FILE, relative_path
from flywheel.lake.store import Lake
from flywheel.lake.tables import TABLES

__all__ = ["copy_lake"]

_REWRITTEN = RetryPolicy(attempts=5)


def copy_lake(lake: Lake, target: Path) -> None:
    """Copy log and data files of every table; the copy opens at the version that was copied.

    Raises:
        StorageError: a table or one of its files cannot be read.
        UnavailableError: a table was rewritten again and again meanwhile.
    """
    # First, so that it never speaks of versions or files that the copies do not have.
    copy_database(lake.root / DIGESTS_FILE, target / DIGESTS_FILE)
    for name in TABLES:
        if (lake.root / name / "_delta_log").is_dir():
            _copy_table(lake.root / name, target / name)


def _copy_table(source: Path, target: Path) -> None:
    try:
        # Maintenance may remove log entries in between.
        retried(
            lambda: _copy_once(source, target),
            _REWRITTEN,
            (DeltaError, FileNotFoundError, UnavailableError),
        )
    except (DeltaError, FileNotFoundError) as error:
        raise StorageError(
            f"The lake table {source.name} cannot be copied in {_REWRITTEN.attempts} attempts: {error}",
            next_step="see `flywheel verify`; restore what is damaged before a new backup",
        ) from error


def _copy_once(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    delta = DeltaTable(source)
    version, files = int(delta.version()), sorted(delta.file_uris())
    _copy_files(source, target, [relative_path(source, uri) for uri in files])
    _copy_log(source / "_delta_log", target / "_delta_log", version)
    copied = DeltaTable(target)
    if (int(copied.version()), len(copied.file_uris())) != (version, len(files)):
        raise UnavailableError(
            f"The lake table {source.name} changes while it is copied: the copy is at version "
            f"{copied.version()}, not {version}.",
            next_step="back up again when maintenance has ended",
        )


def _copy_files(source: Path, target: Path, names: list[str]) -> None:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def _copy_log(source: Path, target: Path, version: int) -> None:
    # Without `_last_checkpoint`, which may name a later one: Delta finds the newest by itself.
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        number = path.name.partition(".")[0]
        if path.is_file() and number.isdecimal() and int(number) <= version:
            shutil.copyfile(path, target / path.name)
