"""`read_moment`: a time as logs write it, in whatever unit or form."""

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any

from flywheel.errors import EventError
from flywheel.events.reasons import Reason

__all__ = ["read_moment"]

_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# From 2000 to 2200 a number is in one unit alone: the ranges do not meet.
_MICROSECONDS = {"seconds": 1e6, "milliseconds": 1e3, "microseconds": 1.0, "nanoseconds": 1e-3}
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_ZONE_NAME = re.compile(r"\s*(UTC|GMT)$", re.IGNORECASE)


def read_moment(value: Any, zone: tzinfo = UTC) -> tuple[datetime, bool]:
    """Return the moment in UTC, and whether the value itself said so.

    Args:
        value: seconds, milli-, micro- or nanoseconds since 1970 as number or text; ISO 8601; the
            form of e-mail.
        zone: of a time that names none.

    Raises:
        EventError: it is not a time between 2000 and 2200 in any of these forms.
    """
    moment: datetime | None = None
    zoned = True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        moment = _since_epoch(value)
    elif isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            moment = _since_epoch(float(text) if "." in text else int(text[:40]))
        if moment is None:
            moment, zoned = _written(text, zone)
    if moment is None or not _FIRST <= moment < _LAST:
        excerpt = repr(value)
        raise EventError(
            Reason.BAD_TIMESTAMP,
            f"{excerpt[:60]}{'…' if len(excerpt) > 60 else ''} is not a time between 2000 and 2200, "  # noqa: PLR2004 - shown
            "neither ISO 8601 nor seconds, milli-, micro- or nanoseconds since 1970",
        )
    return moment, zoned


def _since_epoch(value: float) -> datetime | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if abs(value) > 10**20:
        return None
    for unit, scale in _MICROSECONDS.items():
        # Whole numbers stay whole: a double cannot hold today in nanoseconds.
        exact = isinstance(value, int)
        microseconds = value // 1000 if exact and unit == "nanoseconds" else value * scale
        try:
            moment = _EPOCH + timedelta(microseconds=round(microseconds))
        except OverflowError:
            continue
        if _FIRST <= moment < _LAST:
            return moment
    return None


def _written(text: str, zone: tzinfo) -> tuple[datetime | None, bool]:
    named = _ZONE_NAME.search(text) is not None
    try:
        moment = datetime.fromisoformat(_ZONE_NAME.sub("", text) if named else text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None, True
    zoned = named or moment.tzinfo is not None
    try:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC if named else zone)
        return moment.astimezone(UTC), zoned
    except (OverflowError, ValueError):
        return None, True
