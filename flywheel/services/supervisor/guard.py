"""Stop an ephemeral set of services when the process that wanted it is gone, however it went.

Run as ``python -m flywheel.services.supervisor.guard OWNER FOLDER`` in a session of its own.
"""

import sys
from pathlib import Path

import psutil

from flywheel.services.supervisor.shutdown import stop

__all__ = ["main"]


def main(owner: int, folder: Path) -> None:
    """Wait for the owner's end or the folder's, then stop what is left."""
    try:
        process = psutil.Process(owner)
    except psutil.NoSuchProcess:
        process = None
    while process is not None and folder.exists():
        try:
            process.wait(timeout=2)
            process = None
        except psutil.TimeoutExpired:
            continue
    if folder.exists():
        stop(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
