"""The guard of an ephemeral set: a process of its own that outlives a killed owner."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["dismiss", "post"]

# The guards of this process's ephemeral sets, by folder.
_posted: dict[Path, "subprocess.Popen[bytes]"] = {}


def post(folder: Path) -> None:
    """Start the guard of a folder, which stops its services when this process is gone."""
    command = [
        sys.executable,
        "-m",
        "flywheel.services.supervisor.guard",
        str(os.getpid()),
        str(folder),
    ]
    _posted[folder] = subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def dismiss(folder: Path) -> None:
    """End the guard of a folder whose services were stopped."""
    guard = _posted.pop(folder, None)
    if guard is not None:
        guard.terminate()
        guard.wait()
