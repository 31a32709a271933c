"""`put_base` and `cached_base`: a base model's way through the exchange to the workers."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flywheel.artifacts.base_folder import load_base
from flywheel.errors import FlywheelError
from flywheel.io.lock import exclusive
from flywheel.train.launch.exchange import Exchange

__all__ = ["cached_base", "put_base"]


def put_base(exchange: Exchange, folder: Path, digest: str, on_notice: Callable[[str], Any]) -> str:
    """Put a base model into the exchange where it is not there yet, and return its path there.

    Args:
        exchange: that the workers read.
        folder: of the base model.
        digest: names it in the exchange.
        on_notice: told before it is put there.
    """
    path = f"bases/{digest}"
    if not exchange.has_folder(path):
        on_notice("The base model is put into the exchange.")
        exchange.put_folder(folder, path)
    return path


def cached_base(exchange: Exchange, path: str, digest: str) -> Path:
    """Return the folder of a base model on this machine, fetched once for all jobs, and checked.

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
