"""`KeyUse`: what each key of the gateway used on a day, of all processes that answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import delete, insert, select, update

from flywheel.state.database import Database
from flywheel.state.schema import key_use

__all__ = ["KeyUse", "Used"]


@dataclass(frozen=True)
class Used:
    """Requests that a key's rate let through, and tokens in and out."""

    requests: int = 0
    tokens: int = 0

    def __add__(self, other: "Used") -> "Used":
        """Return the sum of two uses."""
        return Used(self.requests + other.requests, self.tokens + other.tokens)


class KeyUse:
    """Read and write the table ``key_use``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, uses: Mapping[tuple[date, str], Used]) -> None:
        """Add to what keys used, by day (UTC) and key; days that nobody asks for any more go."""
        with self._database.write() as connection:
            oldest = max(day for day, _ in uses) - timedelta(days=1)
            connection.execute(delete(key_use).where(key_use.c.day < oldest))
            for (day, key_id), more in uses.items():
                row = (key_use.c.key_id == key_id) & (key_use.c.day == day)
                sums = {
                    "requests": key_use.c.requests + more.requests,
                    "tokens": key_use.c.tokens + more.tokens,
                }
                if not connection.execute(update(key_use).where(row).values(sums)).rowcount:
                    values = {"key_id": key_id, "day": day} | vars(more)
                    connection.execute(insert(key_use).values(values))

    def of(self, day: date) -> dict[str, Used]:
        """Return what keys used on a day (UTC), by the key's id."""
        with self._database.read() as connection:
            rows = connection.execute(select(key_use).where(key_use.c.day == day)).mappings()
            return {row["key_id"]: Used(row["requests"], row["tokens"]) for row in rows}
