"""What the settings say of files: `restrict_files`, `make_private`, and `connection` to services."""

import os
import tomllib
from pathlib import Path

from flywheel.settings.model import CONNECTIONS, Settings

__all__ = ["connection", "make_private", "restrict_files"]


def restrict_files(settings: Settings) -> None:
    """Let this process make files for its user alone (0600 in 0700), or for the group as well.

    Nearly every file of a deployment holds people's texts, whatever library makes it. It changes
    the whole process, so only a program of Flywheel's own calls it, when it starts.
    """
    os.umask(0o027 if settings.group_access else 0o077)


def make_private(folder: Path, settings: Settings) -> None:
    """Make a folder of mode 0700, whatever the process's umask; an existing one stays.

    A program that uses Flywheel as a library keeps its own umask: its files are hidden by the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o750 if settings.group_access else 0o700, exist_ok=True)


def connection(settings: Settings, key: str) -> str | None:
    """Return the current value of a setting that services renew; None where they were not asked."""
    file = settings.services / CONNECTIONS
    if settings.profile != "services" or not file.is_file():
        return None
    value = tomllib.loads(file.read_text()).get(key)
    return None if value is None else str(value)
