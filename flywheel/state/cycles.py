"""Cycles: opened once per trigger, one open at a time per workload."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from flywheel.artifacts.actors import SYSTEM
from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.opened_workload import OpenedWorkload
from flywheel.clock import Clock
from flywheel.errors import NotFoundError, RefusedError
from flywheel.io.records import Row
from flywheel.state.attempts import Attempt, Attempts
from flywheel.state.audit import Audit
from flywheel.state.cycle_status import (
    NEXT_STATUSES,
    OPEN_STATUSES,
    RETRYABLE,
    CycleStatus,
    after_refusal,
)
from flywheel.state.database import Database
from flywheel.state.schema import cycles
from flywheel.workload.model import Workload, parse_workload
from flywheel.workload.periods import period_name

__all__ = ["Cycle", "Cycles"]


@dataclass(frozen=True)
class Cycle:
    """One turn of the wheel; ``snapshot`` is the data that ``opened`` is read from."""

    workload_id: str
    name: str
    trigger: str
    trigger_key: str
    opened_by: str
    reason: str
    status: CycleStatus
    status_reason: str
    attempt: int
    watermark: datetime
    numbers: dict[str, Any]
    snapshot: dict[str, Any]
    opened_at: datetime
    changed_at: datetime

    @property
    def ref(self) -> CycleRef:
        """Its identity."""
        return CycleRef(self.workload_id, self.name)

    @property
    def opened(self) -> OpenedWorkload:
        """The workload as it was when the cycle opened; unreadable: ConfigurationError."""
        source = f"the snapshot of cycle {self.name}"
        return OpenedWorkload(self.ref, parse_workload(self.snapshot, source=source))

    @property
    def is_open(self) -> bool:
        """Return whether the cycle still blocks the next one."""
        return self.status in OPEN_STATUSES


class Cycles:
    """Read and write the table ``cycles``; every change leaves an audit row with it."""

    def __init__(self, database: Database, clock: Clock, attempts: Attempts, audit: Audit) -> None:
        self._database = database
        self._clock = clock
        self._attempts = attempts
        self._audit = audit

    def open(  # noqa: PLR0913 - a cycle is all of this
        self,
        workload: Workload,
        *,
        trigger: str,
        opened_by: str = SYSTEM,
        reason: str,
        watermark: datetime,
        snapshot: Mapping[str, Any],
        numbers: Mapping[str, Any] | None = None,
        trigger_key: str | None = None,
    ) -> Cycle:
        """Open a cycle, or return the one that the same trigger has opened before.

        Args:
            workload: whose cycle it is.
            opened_by: a person; default: no person asked for it.
            reason: one sentence for people.
            trigger: calendar, drift, quality, volume, manual ...
            trigger_key: what makes two evaluations the same trigger; by default the period for
                the calendar and the watermark for everything else.
            watermark: moment up to which data counts for this cycle.
            snapshot: the workload file as data, so that a later edit does not reach this cycle.
            numbers: what the trigger measured.

        Raises:
            RefusedError: another cycle of the workload is open.
        """
        now = self._clock.now()
        period = period_name(workload.cadence, now, workload.timezone)
        key = trigger_key or (
            f"{trigger}:{period}" if trigger == "calendar" else f"{trigger}:{watermark.isoformat()}"
        )
        row = {
            "workload_id": workload.id,
            "period": period,
            "trigger": trigger,
            "trigger_key": key,
            "opened_by": opened_by,
            "reason": reason,
            "status": "open",
            "attempt": 1,
            "watermark": watermark,
            "numbers": dict(numbers or {}),
            "snapshot": dict(snapshot),
            "opened_at": now,
            "changed_at": now,
        }
        with self._database.write() as connection:
            return self._open(connection, row)

    def _open(self, connection: Connection, row: Row) -> Cycle:
        condition = cycles.c.workload_id == row["workload_id"]
        same = _first(connection, condition & (cycles.c.trigger_key == row["trigger_key"]))
        if same is not None:
            return same
        other = _first(connection, condition & cycles.c.status.in_(OPEN_STATUSES))
        if other is not None:
            raise RefusedError(
                f"Cycle {other.name} of {other.workload_id} is still {other.status}.",
                next_step=f"approve or reject it, or `flywheel cycle stop {other.workload_id} "
                f"{other.name} --as NAME --reason TEXT`",
                workload_id=other.workload_id,
                cycle=other.name,
            )
        last = select(func.max(cycles.c.number)).where(condition, cycles.c.period == row["period"])
        number = (connection.execute(last).scalar() or 0) + 1
        name = f"{row['period']}-{number}"
        connection.execute(insert(cycles).values(**row, number=number, cycle=name))
        ref = CycleRef(row["workload_id"], name)
        self._attempts.start(ref, 1, row["reason"])
        details = {key: row[key] for key in ("trigger", "reason", "numbers")}
        details["watermark"] = row["watermark"].isoformat()
        self._audit.append("cycle.opened", str(ref), row["opened_by"], details)
        return self._get(connection, ref)

    def get(self, cycle: CycleRef) -> Cycle:
        """Return one cycle; an unknown one raises NotFoundError."""
        with self._database.read() as connection:
            return self._get(connection, cycle)

    def list_open(self, workload_id: str | None = None) -> list[Cycle]:
        """List the cycles that are open now, of one workload or of all."""
        condition: ColumnElement[bool] = cycles.c.status.in_(OPEN_STATUSES)
        if workload_id is not None:
            condition &= cycles.c.workload_id == workload_id
        return self._list(condition)

    def of(self, workload_id: str) -> list[Cycle]:
        """List every cycle of a workload, oldest first."""
        return self._list(cycles.c.workload_id == workload_id)

    def set_status(
        self,
        cycle: CycleRef,
        status: CycleStatus,
        reason: str,
        *,
        actor: str = SYSTEM,
    ) -> Cycle:
        """Move a cycle to a status that may follow the one it has; the audit names the actor.

        Raises:
            RefusedError: the status may not follow, or another cycle is open meanwhile.
        """
        assert status in get_args(CycleStatus)
        with self._database.write() as connection:
            current = self._get(connection, cycle)
            if status == current.status:
                return current
            if status not in NEXT_STATUSES[current.status]:
                raise RefusedError(
                    f"Cycle {cycle.name} of {cycle.workload_id} is {current.status} and cannot become "
                    f"{status}.",
                    next_step=after_refusal(cycle, current.status),
                )
            return self._move(connection, current, status, reason, actor)

    def new_attempt(self, cycle: CycleRef, reason: str, *, actor: str = SYSTEM) -> Attempt:
        """Start the next attempt of a cycle that is open or has failed, and open it again.

        Who asked for it is the attempt's ``requested_by``.

        Raises:
            RefusedError: the cycle was promoted, rejected or approved, or another one is open.
        """
        with self._database.write() as connection:
            current = self._get(connection, cycle)
            if current.status not in RETRYABLE:
                raise RefusedError(
                    f"Cycle {cycle.name} of {cycle.workload_id} is {current.status}: no new attempt.",
                    next_step="open the next cycle",
                )
            self._refuse_second_open(connection, current, "open")
            if current.is_open:
                self._attempts.end(cycle, current.attempt, "superseded")
            number = current.attempt + 1
            self._change(connection, current, status="open", status_reason=reason, attempt=number)
            self._tell(current, "open", reason, attempt=number, actor=actor)
            person = None if actor == SYSTEM else actor
            return self._attempts.start(cycle, number, reason, person)

    def review_again(self, cycle: CycleRef, reason: str, *, actor: str) -> Cycle:
        """Let a cycle wait for an approval again whose release was taken back from a stage.

        Raises:
            RefusedError: no release of it was taken back from a stage, or another cycle is open.
        """
        with self._database.write() as connection:
            current = self._get(connection, cycle)
            if current.status != "rolled_back":
                raise RefusedError(
                    f"Cycle {cycle.name} of {cycle.workload_id} is {current.status}: no release of it "
                    "was taken back from shadow or canary.",
                    next_step=f"see `flywheel release show {cycle.workload_id}`",
                )
            return self._move(connection, current, "awaiting_approval", reason, actor)

    def attempt(self, cycle: CycleRef, number: int | None = None) -> Attempt:
        """Return one attempt, by default the present one."""
        if number is None:
            number = self.get(cycle).attempt
        return self._attempts.get(cycle, number)

    def _list(self, condition: ColumnElement[bool]) -> list[Cycle]:
        order = (cycles.c.opened_at, cycles.c.workload_id, cycles.c.number)
        with self._database.read() as connection:
            rows = connection.execute(select(cycles).where(condition).order_by(*order)).mappings()
            return [_cycle_of(dict(row)) for row in rows]

    def _get(self, connection: Connection, cycle: CycleRef) -> Cycle:
        condition = (cycles.c.workload_id == cycle.workload_id) & (cycles.c.cycle == cycle.name)
        cycle_row = _first(connection, condition)
        if cycle_row is None:
            raise NotFoundError(
                f"{cycle.workload_id} has no cycle {cycle.name}.",
                next_step=f"see them with `flywheel cycles {cycle.workload_id}`",
            )
        return cycle_row

    def _move(
        self, connection: Connection, cycle: Cycle, status: CycleStatus, reason: str, actor: str
    ) -> Cycle:
        self._refuse_second_open(connection, cycle, status)
        self._change(connection, cycle, status=status, status_reason=reason)
        self._tell(cycle, status, reason, attempt=cycle.attempt, actor=actor)
        outcome = None if status in OPEN_STATUSES else status
        self._attempts.end(cycle.ref, cycle.attempt, outcome)
        return self._get(connection, cycle.ref)

    def _change(self, connection: Connection, cycle: Cycle, **values: Any) -> None:
        condition = (cycles.c.workload_id == cycle.workload_id) & (cycles.c.cycle == cycle.name)
        values["changed_at"] = self._clock.now()
        connection.execute(update(cycles).where(condition).values(**values))

    def _tell(self, cycle: Cycle, status: str, reason: str, *, attempt: int, actor: str) -> None:
        details = {"from": cycle.status, "to": status, "reason": reason, "attempt": attempt}
        self._audit.append("cycle.moved", str(cycle.ref), actor, details)

    def _refuse_second_open(self, connection: Connection, cycle: Cycle, status: str) -> None:
        if cycle.is_open or status not in OPEN_STATUSES:
            return
        condition = cycles.c.workload_id == cycle.workload_id
        other = _first(connection, condition & cycles.c.status.in_(OPEN_STATUSES))
        if other is not None:
            raise RefusedError(
                f"Cycle {other.name} of {cycle.workload_id} was opened since and is "
                f"{other.status}; {cycle.name} cannot be opened beside it.",
                next_step=f"finish {other.name} first",
            )


def _first(connection: Connection, condition: ColumnElement[bool]) -> Cycle | None:
    row = connection.execute(select(cycles).where(condition)).mappings().first()
    return None if row is None else _cycle_of(dict(row))


def _cycle_of(values: Row) -> Cycle:
    values["name"] = values.pop("cycle")
    for column in ("period", "number"):
        del values[column]
    return Cycle(**values)
