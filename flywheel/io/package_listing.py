"""`one_package_listing`: imports that share one listing of the installed packages.

transformers and TRL each ask which package every importable name belongs to. Python then reads the
list of files of every installed package, a third of a CPU-second where 300 are installed.
"""

import functools
import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["one_package_listing"]


@contextmanager
def one_package_listing() -> Iterator[None]:
    """Let `importlib.metadata.packages_distributions` list the packages once, for imports."""
    original = importlib.metadata.packages_distributions
    importlib.metadata.packages_distributions = functools.cache(original)
    try:
        yield
    finally:
        importlib.metadata.packages_distributions = original
