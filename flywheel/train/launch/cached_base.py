"""`cached_base`: a base model on a worker, fetched once for all jobs of its machine."""

import os
import shutil
from pathlib import Path

from flywheel.artifacts.base_folder import load_base
from flywheel.errors import FlywheelError
from flywheel.io.lock import exclusive
from flywheel.train.launch.exchange import Exchange

__all__ = ["cached_base"]


def cached_base(exchange: Exchange, path: str, digest: str) -> Path:
    """Return the folder of a base model on this machine, every byte of it checked.

    Args:
        exchange: holds it.
        path: of its folder there.
        digest: names it on this machine.

    Raises:
        IntegrityError: it is damaged; the next try fetches it again.
    """
    cache = Path(os.environ.get("FLYWHEEL_CACHE") or Path.home() / ".cache" / "flywheel")
    folder = cache / "fetched" / digest
    with exclusive(folder.parent / ".lock"):  # two jobs on one machine fetch it once
        if not folder.exists():
            exchange.get_folder(path, folder)
    try:
        load_base(folder, verify=True)
    except FlywheelError:
        shutil.rmtree(folder, ignore_errors=True)  # so that the next try fetches it again
        raise
    return folder
