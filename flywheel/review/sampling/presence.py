"""`present_since`: from when on somebody must have judged to count as still there."""

from datetime import datetime, timedelta

__all__ = ["present_since"]

# Who has not judged for so long may have left: a question to them alone would stay open.
_PRESENT = timedelta(days=90)


def present_since(now: datetime) -> datetime:
    """Return the moment since which a person who is still there has judged something."""
    return now - _PRESENT
