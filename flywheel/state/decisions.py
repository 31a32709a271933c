"""Trigger decisions: every evaluation with its numbers, also those that opened nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from flywheel.clock import Clock
from flywheel.state.database import Database
from flywheel.state.schema import decisions

__all__ = ["Decision", "Decisions"]


@dataclass(frozen=True)
class Decision:
    """One evaluation of the trigger; ``cycle`` is the one that it opened."""

    id: int
    workload_id: str
    decided_at: datetime
    opens: bool
    trigger: str | None
    cycle: str | None
    reason: str
    numbers: dict[str, Any]


class Decisions:
    """Append to and read the table ``trigger_decisions``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self,
        workload_id: str,
        *,
        opens: bool,
        reason: str,
        numbers: Mapping[str, Any],
        trigger: str | None = None,
        cycle: str | None = None,
    ) -> Decision:
        """Keep one evaluation of the trigger."""
        values = {
            "workload_id": workload_id,
            "decided_at": self._clock.now(),
            "opens": opens,
            "trigger": trigger,
            "cycle": cycle,
            "reason": reason,
            "numbers": dict(numbers),
        }
        with self._database.write() as connection:
            key = connection.execute(insert(decisions).values(**values)).inserted_primary_key
            assert key is not None
            row = (
                connection.execute(select(decisions).where(decisions.c.id == key[0]))
                .mappings()
                .one()
            )
            return Decision(**row)

    def of(self, workload_id: str) -> list[Decision]:
        """List every decision about a workload, oldest first."""
        query = select(decisions).where(decisions.c.workload_id == workload_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(decisions.c.id)).mappings()
            return [Decision(**row) for row in rows]
