"""Approvals and rejections as rows; what they are bound to is judged in ``release``."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.clock import Clock
from flywheel.state.database import Database
from flywheel.state.schema import approvals

__all__ = ["Approval", "Approvals"]


@dataclass(frozen=True)
class Approval:
    """One person's verdict and everything it was given on."""

    id: int
    workload_id: str
    cycle: str
    attempt: int
    verdict: str
    actor: str
    simulated: bool
    channel: str
    identity: str
    requested_by: str
    reason: str
    release: str
    manifest_digest: str
    gate_digest: str
    champion: str
    given_at: datetime
    expires_at: datetime
    voided_at: datetime | None
    void_reason: str

    @property
    def cycle_ref(self) -> CycleRef:
        """The cycle whose candidate it is on."""
        return CycleRef(self.workload_id, self.cycle)


class Approvals:
    """Append to and read the table ``approvals``; the only change to a row is its voiding."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(self, *, days: int, **values: Any) -> Approval:
        """Keep a verdict that counts for so many days.

        ``values`` are the fields of Approval without its id, its times and its voiding.
        """
        values["given_at"] = self._clock.now()
        values["expires_at"] = values["given_at"] + timedelta(days=days)
        with self._database.write() as connection:
            key = connection.execute(insert(approvals).values(**values)).inserted_primary_key
            assert key is not None
            row = (
                connection.execute(select(approvals).where(approvals.c.id == key[0]))
                .mappings()
                .one()
            )
            return Approval(**row)

    def void(self, approval_id: int, reason: str) -> None:
        """Say that a verdict no longer counts, and why; the first reason stays."""
        condition = (approvals.c.id == approval_id) & approvals.c.voided_at.is_(None)
        values = {"voided_at": self._clock.now(), "void_reason": reason}
        with self._database.write() as connection:
            connection.execute(update(approvals).where(condition).values(**values))

    def of(self, workload_id: str) -> list[Approval]:
        """List the verdicts on a workload's cycles, oldest first."""
        return self._list(approvals.c.workload_id == workload_id)

    def of_cycle(self, cycle: CycleRef) -> list[Approval]:
        """List the verdicts on one cycle, oldest first."""
        condition = approvals.c.workload_id == cycle.workload_id
        return self._list(condition & (approvals.c.cycle == cycle.name))

    def _list(self, condition: ColumnElement[bool]) -> list[Approval]:
        with self._database.read() as connection:
            rows = connection.execute(
                select(approvals).where(condition).order_by(approvals.c.id)
            ).mappings()
            return [Approval(**row) for row in rows]

    def granted(self, cycle: CycleRef) -> Approval | None:
        """Return the newest approval of a cycle that was not voided; it may have expired."""
        standing = [
            approval
            for approval in self.of_cycle(cycle)
            if approval.verdict == "approved" and approval.voided_at is None
        ]
        return standing[-1] if standing else None
