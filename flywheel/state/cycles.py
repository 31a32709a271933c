"""Cycles: opened once per trigger, one open at a time per workload."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from flywheel.clock import Clock
from flywheel.errors import NotFoundError, RefusedError
from flywheel.state.attempts import Attempt, Attempts
from flywheel.state.audit import Audit
from flywheel.state.database import Database
from flywheel.state.schema import cycles
from flywheel.workload.model import Workload
from flywheel.workload.periods import period_name

__all__ = ["OPEN_STATUSES", "SYSTEM", "Cycle", "CycleStatus", "Cycles"]

CycleStatus = Literal[
    "open",
    "training",
    "gated_fail",
    "inconclusive",
    "awaiting_judgments",
    "awaiting_approval",
    "approved",
    "promoted",
    "rejected",
    "expired",
    "stopped",
]
# The actor of everything that no person asked for.
SYSTEM = "system"
OPEN_STATUSES: tuple[CycleStatus, ...] = (
    "open",
    "training",
    "awaiting_judgments",
    "awaiting_approval",
    "approved",
)

_JUDGED: frozenset[str] = frozenset(
    {
        "gated_fail",
        "inconclusive",
        "awaiting_judgments",
        "awaiting_approval",
        "stopped",
        "expired",
    }
)
# What may follow what. A cycle that failed goes on only through a new attempt; one that was
# promoted or rejected is over. An approval that ran out can be given again.
_NEXT: dict[str, frozenset[str]] = {
    "open": _JUDGED | {"training"},
    "training": _JUDGED | {"open"},
    "awaiting_judgments": _JUDGED | {"rejected"},
    "awaiting_approval": _JUDGED | {"approved", "rejected", "training"},
    "approved": _JUDGED | {"promoted", "rejected"},
    "expired": _JUDGED | {"approved", "rejected"},
    "gated_fail": frozenset({"stopped"}),
    "inconclusive": frozenset({"stopped"}),
    "stopped": frozenset(),
    "promoted": frozenset(),
    "rejected": frozenset(),
}
_RETRYABLE = _JUDGED | {"open", "training"}


@dataclass(frozen=True)
class Cycle:
    """One turn of the wheel; ``snapshot`` is the workload as it was when the cycle opened."""

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
    def is_open(self) -> bool:
        """Say whether the cycle still blocks the next one."""
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
        opened_by: str,
        reason: str,
        watermark: datetime,
        snapshot: Mapping[str, Any],
        numbers: Mapping[str, Any] | None = None,
        trigger_key: str | None = None,
    ) -> Cycle:
        """Open a cycle, or return the one that the same trigger has opened before.

        Args:
            workload: whose cycle it is.
            opened_by: a person, or ``SYSTEM``.
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

    def _open(self, connection: Connection, row: dict[str, Any]) -> Cycle:
        mine = cycles.c.workload_id == row["workload_id"]
        same = _first(connection, mine & (cycles.c.trigger_key == row["trigger_key"]))
        if same is not None:
            return same
        other = _first(connection, mine & cycles.c.status.in_(OPEN_STATUSES))
        if other is not None:
            raise RefusedError(
                f"Cycle {other.name} of {other.workload_id} is still {other.status}.",
                next_step=f"approve or reject it, or `flywheel cycle stop {other.workload_id} "
                f"{other.name} --as NAME --reason TEXT`",
                workload_id=other.workload_id,
                cycle=other.name,
            )
        last = select(func.max(cycles.c.number)).where(mine, cycles.c.period == row["period"])
        number = (connection.execute(last).scalar() or 0) + 1
        name = f"{row['period']}-{number}"
        connection.execute(insert(cycles).values(**row, number=number, cycle=name))
        self._attempts.start(row["workload_id"], name, 1, row["reason"])
        details = {key: row[key] for key in ("trigger", "reason", "numbers")}
        details["watermark"] = row["watermark"].isoformat()
        self._audit.append(
            "cycle.opened", f"{row['workload_id']}/{name}", row["opened_by"], details
        )
        return self._get(connection, row["workload_id"], name)

    def get(self, workload_id: str, cycle: str) -> Cycle:
        """Return one cycle; an unknown one raises NotFoundError."""
        with self._database.read() as connection:
            return self._get(connection, workload_id, cycle)

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
        workload_id: str,
        cycle: str,
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
            present = self._get(connection, workload_id, cycle)
            if status == present.status:
                return present
            if status not in _NEXT[present.status]:
                raise RefusedError(
                    f"Cycle {cycle} of {workload_id} is {present.status} and cannot become "
                    f"{status}.",
                    next_step="a failed cycle goes on with a new attempt "
                    f"(`flywheel cycle retry {workload_id} {cycle} --as NAME --reason TEXT`), a "
                    "closed one with the next cycle",
                )
            self._refuse_second_open(connection, present, status)
            self._change(connection, present, status=status, status_reason=reason)
            self._tell(present, status, reason, attempt=present.attempt, actor=actor)
            outcome = None if status in OPEN_STATUSES else status
            self._attempts.end(workload_id, cycle, present.attempt, outcome)
            return self._get(connection, workload_id, cycle)

    def new_attempt(
        self, workload_id: str, cycle: str, reason: str, *, actor: str = SYSTEM
    ) -> Attempt:
        """Start the next attempt of a cycle that is open or has failed, and open it again.

        Who asked for it stands in the attempt's facts as ``requested_by``.

        Raises:
            RefusedError: the cycle was promoted, rejected or approved, or another one is open.
        """
        with self._database.write() as connection:
            present = self._get(connection, workload_id, cycle)
            if present.status not in _RETRYABLE:
                raise RefusedError(
                    f"Cycle {cycle} of {workload_id} is {present.status}: no new attempt.",
                    next_step="open the next cycle",
                )
            self._refuse_second_open(connection, present, "open")
            if present.is_open:
                self._attempts.end(workload_id, cycle, present.attempt, "superseded")
            number = present.attempt + 1
            self._change(connection, present, status="open", status_reason=reason, attempt=number)
            self._tell(present, "open", reason, attempt=number, actor=actor)
            facts = {} if actor == SYSTEM else {"requested_by": actor}
            return self._attempts.start(workload_id, cycle, number, reason, facts)

    def attempt(self, workload_id: str, cycle: str, number: int | None = None) -> Attempt:
        """Return one attempt, by default the present one."""
        if number is None:
            number = self.get(workload_id, cycle).attempt
        return self._attempts.get(workload_id, cycle, number)

    def _list(self, condition: ColumnElement[bool]) -> list[Cycle]:
        order = (cycles.c.opened_at, cycles.c.workload_id, cycles.c.number)
        with self._database.read() as connection:
            rows = connection.execute(select(cycles).where(condition).order_by(*order)).mappings()
            return [_cycle_of(dict(row)) for row in rows]

    def _get(self, connection: Connection, workload_id: str, cycle: str) -> Cycle:
        found = _first(
            connection, (cycles.c.workload_id == workload_id) & (cycles.c.cycle == cycle)
        )
        if found is None:
            raise NotFoundError(
                f"{workload_id} has no cycle {cycle}.",
                next_step=f"see them with `flywheel cycles {workload_id}`",
            )
        return found

    def _change(self, connection: Connection, cycle: Cycle, **values: Any) -> None:
        mine = (cycles.c.workload_id == cycle.workload_id) & (cycles.c.cycle == cycle.name)
        values["changed_at"] = self._clock.now()
        connection.execute(update(cycles).where(mine).values(**values))

    def _tell(self, cycle: Cycle, status: str, reason: str, *, attempt: int, actor: str) -> None:
        details = {"from": cycle.status, "to": status, "reason": reason, "attempt": attempt}
        self._audit.append("cycle.moved", f"{cycle.workload_id}/{cycle.name}", actor, details)

    def _refuse_second_open(self, connection: Connection, cycle: Cycle, status: str) -> None:
        if cycle.is_open or status not in OPEN_STATUSES:
            return
        mine = cycles.c.workload_id == cycle.workload_id
        other = _first(connection, mine & cycles.c.status.in_(OPEN_STATUSES))
        if other is not None:
            raise RefusedError(
                f"Cycle {other.name} of {cycle.workload_id} was opened since and is "
                f"{other.status}; {cycle.name} cannot be opened beside it.",
                next_step=f"finish {other.name} first",
            )


def _first(connection: Connection, condition: ColumnElement[bool]) -> Cycle | None:
    row = connection.execute(select(cycles).where(condition)).mappings().first()
    return None if row is None else _cycle_of(dict(row))


def _cycle_of(values: dict[str, Any]) -> Cycle:
    values["name"] = values.pop("cycle")
    for column in ("period", "number"):
        del values[column]
    return Cycle(**values)
