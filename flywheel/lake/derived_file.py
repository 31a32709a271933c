"""`DerivedFile`: a file beside the lake that is made again where it is missing, damaged or stale.

Nothing rests on it but time: one that cannot be read is counted again, and one that cannot be written
(a full disk, a read-only home) is left out, so that no query and no check fails because of it.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

import pyarrow as pa

from flywheel.io.atomic import writing
from flywheel.io.sqlite_file import can_write

__all__ = ["DerivedFile"]

_T = TypeVar("_T")


class DerivedFile:
    """A derived file by its path.

    Args:
        path: in the lake's folder for what is derived.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, parse: Callable[[bytes], _T | None]) -> _T | None:
        """Return what is kept; None where it is missing or damaged, or ``parse`` has no use for it."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException):
            return parse(self.path.read_bytes())
        return None

    def write(self, dump: Callable[[BinaryIO], object]) -> bool:
        """Replace what is kept; return whether that could be done."""
        if not can_write(self.path):
            return False
        with suppress(OSError):
            with writing(self.path, durable=False) as file:
                dump(file)
            return True
        return False
