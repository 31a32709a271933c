"""What is looked at before anything is started: room on the disk, and leftovers."""

import shutil
from pathlib import Path

from flywheel.errors import ConfigurationError, StorageError
from flywheel.services.supervisor import leftovers

__all__ = ["require_no_leftovers", "require_space"]

_MEBIBYTE = 2**20
_FREE_MEBIBYTES = 1024


def require_space(folder: Path, *, mebibytes: int = _FREE_MEBIBYTES) -> None:
    """Raise when the disk of a folder is too full for brokers and databases to start on.

    Raises:
        StorageError: Less than ``mebibytes`` are free.
    """
    free = shutil.disk_usage(folder).free // _MEBIBYTE
    if free < mebibytes:
        raise StorageError(
            f"Only {free} MiB are free in {folder}, and services want {mebibytes} MiB to start.",
            next_step="make room there, or set FLYWHEEL_SERVICES to a folder on another disk",
        )


def require_no_leftovers(folder: Path) -> None:
    """Raise when programs of this folder run whose supervisor has died.

    Raises:
        ConfigurationError: The processes, named.
    """
    processes = leftovers.find(folder)
    if processes:
        named = ", ".join(
            sorted(f"{process.name()} (pid {process.pid})" for process in processes)[:8]
        )
        raise ConfigurationError(
            f"The supervisor of {folder} has died, and what it ran still does: {named}.",
            next_step="run `flywheel services down`, which ends them, and then `up` again",
        )
