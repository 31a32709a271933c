"""Attempts of a cycle, each with the facts it left: release, digests, paths, gate outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from flywheel.clock import Clock
from flywheel.errors import NotFoundError
from flywheel.state.database import Database
from flywheel.state.schema import attempts

__all__ = ["Attempt", "Attempts"]


@dataclass(frozen=True)
class Attempt:
    """One try of a cycle; ``outcome`` is the status in which it ended."""

    workload_id: str
    cycle: str
    number: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    facts: dict[str, Any]


class Attempts:
    """Read and write the table ``cycle_attempts``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def start(
        self,
        workload_id: str,
        cycle: str,
        number: int,
        reason: str,
        facts: Mapping[str, Any] | None = None,
    ) -> Attempt:
        """Begin an attempt; called by ``Cycles`` in its own transaction."""
        row = {
            "workload_id": workload_id,
            "cycle": cycle,
            "attempt": number,
            "reason": reason,
            "started_at": self._clock.now(),
            "facts": dict(facts or {}),
        }
        with self._database.write() as connection:
            connection.execute(insert(attempts).values(**row))
            return self.get(workload_id, cycle, number)

    def end(self, workload_id: str, cycle: str, number: int, outcome: str | None) -> None:
        """Say how an attempt ended; None opens it again."""
        values = {"ended_at": self._clock.now() if outcome else None, "outcome": outcome}
        with self._database.write() as connection:
            mine = _key(workload_id, cycle, number)
            connection.execute(update(attempts).where(*mine).values(**values))

    def add_facts(self, workload_id: str, cycle: str, attempt: int, **facts: Any) -> Attempt:
        """Add facts to an attempt; a fact given again replaces the former one."""
        with self._database.write() as connection:
            present = self.get(workload_id, cycle, attempt)
            statement = update(attempts).where(*_key(workload_id, cycle, attempt))
            merged = self._database.paths.stored_facts({**present.facts, **facts})
            connection.execute(statement.values(facts=merged))
            return self.get(workload_id, cycle, attempt)

    def get(self, workload_id: str, cycle: str, number: int) -> Attempt:
        """Return one attempt; an unknown one raises NotFoundError."""
        query = select(attempts).where(*_key(workload_id, cycle, number))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError(
                f"Cycle {cycle} of {workload_id} has no attempt {number}.",
                next_step=f"see `flywheel explain {workload_id} {cycle}`",
            )
        return self._attempt_of(dict(row))

    def of(self, workload_id: str, cycle: str) -> list[Attempt]:
        """List the attempts of a cycle, first to last."""
        mine = (attempts.c.workload_id == workload_id, attempts.c.cycle == cycle)
        query = select(attempts).where(*mine).order_by(attempts.c.attempt)
        with self._database.read() as connection:
            return [self._attempt_of(dict(row)) for row in connection.execute(query).mappings()]

    def _attempt_of(self, row: dict[str, Any]) -> Attempt:
        row["facts"] = self._database.paths.resolved_facts(row["facts"])
        return Attempt(number=row.pop("attempt"), **row)


def _key(workload_id: str, cycle: str, number: int) -> tuple[ColumnElement[bool], ...]:
    return (
        attempts.c.workload_id == workload_id,
        attempts.c.cycle == cycle,
        attempts.c.attempt == number,
    )
