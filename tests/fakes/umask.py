"""`umask`: another umask of this process for a block."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["umask"]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask, and put back what was there, whatever the block did to it."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
