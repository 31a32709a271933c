"""`DeskRecords`: what the release desk keeps for a while, seen by each of its processes.

Keys are digests: who reads the table can act as nobody.
"""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from flywheel.io.records import JsonObject
from flywheel.state.database import Database
from flywheel.state.schema import desk_records

__all__ = ["DeskRecords"]

_MOST = 1000


class DeskRecords:
    """Read and write the table ``desk_records``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self, kind: str, key: str, facts: JsonObject, *, ends_at: datetime, now: datetime
    ) -> None:
        """Keep a record until it ends; those that have ended go, and the oldest of too many."""
        with self._database.write() as connection:
            connection.execute(delete(desk_records).where(desk_records.c.ends_at <= now))
            connection.execute(delete(desk_records).where(_is(kind, key)))
            kept = select(desk_records.c.key).where(desk_records.c.kind == kind)
            latest = kept.order_by(desk_records.c.ends_at.desc()).offset(_MOST - 1)
            oldest = list(connection.execute(latest).scalars())
            if oldest:
                too_many = (desk_records.c.kind == kind) & desk_records.c.key.in_(oldest)
                connection.execute(delete(desk_records).where(too_many))
            row = {"kind": kind, "key": _digest(key), "facts": facts, "ends_at": ends_at}
            connection.execute(insert(desk_records).values(row))

    def find(self, kind: str, key: str, now: datetime) -> tuple[JsonObject, datetime] | None:
        """Return the facts of a record and when it ends; None where it is unknown or over."""
        with self._database.read() as connection:
            row = connection.execute(select(desk_records).where(_is(kind, key))).first()
        return (row.facts, row.ends_at) if row is not None and row.ends_at > now else None

    def take(self, kind: str, key: str, now: datetime) -> tuple[JsonObject, datetime] | None:
        """Return a record as ``find`` does and remove it, so that one caller alone gets it."""
        with self._database.write():
            record = self.find(kind, key, now)
            self.remove(kind, key)
        return record

    def remove(self, kind: str, key: str) -> None:
        """Remove a record; one that is not there is as good."""
        with self._database.write() as connection:
            connection.execute(delete(desk_records).where(_is(kind, key)))


def _is(kind: str, key: str) -> Any:
    return (desk_records.c.kind == kind) & (desk_records.c.key == _digest(key))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
