"""How often this process looks for garbage: seldom while it imports, as usual where it computes.

Importing makes objects that stay. Python looks for garbage among them after every 700, which is a
quarter of the CPU time in which MLflow or PyTorch is imported.
"""

import gc

__all__ = ["collect_as_usual", "collect_seldom", "keep_existing"]

_USUAL = gc.get_threshold()
_SELDOM = (100_000, 20, 50)


def collect_seldom() -> None:
    """Look for garbage after 100,000 new objects; a program calls it first."""
    gc.set_threshold(*_SELDOM)


def collect_as_usual() -> None:
    """Look for garbage as Python does by default: what is garbage may hold an accelerator's memory."""
    gc.set_threshold(*_USUAL)


def keep_existing() -> None:
    """Take what exists now, such as everything imported, out of every later look for garbage."""
    gc.freeze()
