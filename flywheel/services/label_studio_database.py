"""`empty_database`: a Label Studio database without data, from the project's copy or by its migrations.

Its 396 migrations take 40 CPU-seconds. ``deploy/environments/label-studio.sql`` holds what those of
the locked version make, written by `write_copy` whenever the lock changes. The server compares its
database with its migrations at every start, so that nothing rests on the copy being current.
"""

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from flywheel.errors import StorageError
from flywheel.io.atomic import copy_file, write_text
from flywheel.io.lock import exclusive

__all__ = ["copy_is_current", "empty_database", "write_copy"]

_COPY = Path(__file__).parents[2] / "deploy" / "environments" / "label-studio.sql"


def empty_database(
    environment: Path, migrate: Callable[[Path], None], on_progress: Callable[[str], None]
) -> Path:
    """Return the file of an empty database of this version, which is made the first time.

    Args:
        environment: the server's environment in the cache; the database lies beside it.
        migrate: runs the server's migrations and puts the database into this file.
        on_progress: told before something takes long.

    Raises:
        StorageError: the cache cannot be written.
    """
    database = environment.with_suffix(".sqlite3")
    try:
        with exclusive(environment.with_suffix(".lock")):
            if database.exists():
                pass
            elif copy_is_current(environment):
                _read_copy(database)
            else:
                on_progress(
                    "making the database of label-studio, once: a minute, more on a busy machine"
                )
                migrate(database)
    except OSError as error:
        raise StorageError(
            f"Label Studio's database cannot be made in {environment.parent}: {error}",
            next_step="free some space, or set FLYWHEEL_CACHE to another folder",
        ) from error
    return database


def copy_is_current(environment: Path) -> bool:
    """Return whether the project's copy is of the version in an environment."""
    if not _COPY.is_file():
        return False
    with _COPY.open(encoding="utf-8") as file:
        return file.readline() == _title(environment)


def write_copy(environment: Path, database: Path) -> None:
    """Replace the project's copy by what a migrated, empty database of an environment holds."""
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
        statements = list(opened.iterdump())
    write_text(_COPY, _title(environment) + "\n".join(statements) + "\n")


def _read_copy(database: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="flywheel-label-studio-") as folder:
        made = Path(folder) / database.name
        with closing(sqlite3.connect(made)) as opened:
            opened.executescript(_COPY.read_text(encoding="utf-8"))
        copy_file(made, database)


def _title(environment: Path) -> str:
    # The environment's name has the digest of its lock file in it.
    return f"-- {environment.name}, written by python -m tests.run.label_studio_copy\n"
