"""Leases with fencing tokens: one process at a time, and a late one is found out.

Leases guard real processes, so they expire by the machine's time even where the demo plays with
the clock. A lease of a process that is known to be dead is taken over at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from flywheel.clock import Clock
from flywheel.errors import ConcurrencyError, UnavailableError
from flywheel.io.machine import this_machine
from flywheel.state.database import Database
from flywheel.state.schema import leases

__all__ = ["Lease", "Leases", "is_held", "process_holder"]


# Name and token of what this process holds now.
_held: set[tuple[str, int]] = set()


@dataclass(frozen=True)
class Lease:
    """A right held until ``expires_at``; ``token`` grows with every holder."""

    name: str
    holder: str
    token: int
    expires_at: datetime


class Leases:
    """Read and write the table ``leases``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @contextmanager
    def hold(
        self, name: str, holder: str | None = None, ttl_seconds: float = 120.0
    ) -> Iterator[Lease]:
        """Hold a lease during the block and give it back at its end."""
        lease = self.acquire(name, holder, ttl_seconds)
        try:
            yield lease
        finally:
            # The work is done or has failed for its own reason: a lease that could not be given
            # back is left behind, see _is_left_behind.
            with suppress(UnavailableError):
                self.release(lease)

    def acquire(self, name: str, holder: str | None = None, ttl_seconds: float = 120.0) -> Lease:
        """Take a lease that is free, expired, or held by a dead process of this machine.

        Raises:
            ConcurrencyError: another process holds it.
        """
        holder = holder or process_holder()
        with self._database.write() as connection:
            lease = self._acquire(connection, name, holder, ttl_seconds)
            _held.add((name, lease.token))  # before another thread can see the row
            return lease

    def _acquire(self, connection: Connection, name: str, holder: str, ttl_seconds: float) -> Lease:
        now = self._clock.now()
        ends = now + timedelta(seconds=ttl_seconds)
        row = connection.execute(select(leases).where(leases.c.name == name)).first()
        if row is None:
            first = insert(leases).values(name=name, token=1, holder=holder, expires_at=ends)
            connection.execute(first)
            return Lease(name, holder, 1, ends)
        if is_held(row.holder, row.expires_at, now) and not _is_left_behind(row):
            raise ConcurrencyError(
                f"The lease {name} is held by {row.holder} until {row.expires_at:%H:%M:%S} UTC.",
                next_step="wait for it, then try again",
            )
        # The condition on the token makes the loser of a race see no row, on any database.
        updated = connection.execute(
            update(leases)
            .where(leases.c.name == name, leases.c.token == row.token)
            .values(token=row.token + 1, holder=holder, expires_at=ends)
        )
        if updated.rowcount != 1:
            raise ConcurrencyError(f"Another process took the lease {name}.", next_step="try again")
        return Lease(name, holder, row.token + 1, ends)

    def renew(self, lease: Lease, ttl_seconds: float = 120.0) -> Lease:
        """Hold on to a lease for longer; a lost one raises ConcurrencyError."""
        ends = self._clock.now() + timedelta(seconds=ttl_seconds)
        with self._database.write() as connection:
            self.check(lease)
            condition = leases.c.name == lease.name
            connection.execute(update(leases).where(condition).values(expires_at=ends))
        return Lease(lease.name, lease.holder, lease.token, ends)

    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was lost meanwhile is left to its new holder."""
        _held.discard((lease.name, lease.token))
        condition = (leases.c.name == lease.name) & (leases.c.token == lease.token)
        with self._database.write() as connection:
            connection.execute(update(leases).where(condition).values(holder=None))

    def check(self, lease: Lease) -> None:
        """Raise ConcurrencyError unless the lease is still its holder's.

        Call it in the transaction that it is to protect. An expired lease that was not taken is
        still good: its token is the newest.
        """
        with self._database.read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == lease.name)).first()
        if row is None or row.token != lease.token or row.holder is None:
            raise ConcurrencyError(
                f"The lease {lease.name} was lost: another process took it over.",
                next_step="try again; nothing was changed",
            )


def is_held(holder: str | None, expires_at: datetime, now: datetime) -> bool:
    """Return whether a lease has a holder that may still be at work."""
    return holder is not None and expires_at > now and not _is_dead(holder)


def process_holder() -> str:
    """Name this process so that another one on this machine can tell whether it still lives."""
    return f"{this_machine()}/{os.getpid()}/{_started(os.getpid())}"


def _is_left_behind(row: Row[Any]) -> bool:
    # This process took it and no longer holds it: the database was away when it gave it back.
    return row.holder == process_holder() and (row.name, row.token) not in _held


def _started(pid: int) -> str:
    # The start time tells a process from a later one that was given the same id.
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "unknown"


def _is_dead(holder: str) -> bool:
    machine, _, rest = holder.rpartition("/")[0].rpartition("/")
    started = holder.rpartition("/")[2]
    if machine != this_machine() or not rest.isdigit() or started == "unknown":
        return False
    return _started(int(rest)) != started
