"""Identifiers: UUIDv7 for what is new, UUIDv5 for what is derived from where it came from."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import uuid_utils

__all__ = ["derived_id", "event_id"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID("6f0c1c52-5f0e-5b3a-9d59-2f7f0b9a7c11")


def event_id(moment: datetime, rng: random.Random | None = None) -> str:
    """Make a UUIDv7 that sorts by ``moment``; with ``rng`` it is reproducible."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    if rng is None:
        return str(uuid_utils.uuid7(nanoseconds=microseconds * 1000))
    milliseconds = microseconds // 1000 & (2**48 - 1)
    value = milliseconds << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0x2 << 62
    return str(uuid.UUID(int=value | rng.getrandbits(62)))


def derived_id(*parts: str | int) -> str:
    """Make the same UUIDv5 from the same parts, for ever."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)))
