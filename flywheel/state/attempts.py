"""`Attempts` and `Attempt`: the tries of a cycle, each with the artifacts that it left.

The artifacts are one column of JSON; a row is read through the typed properties of `Attempt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, insert, select, update

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.few_shot_finding import FewShotFinding
from flywheel.artifacts.gate_file import GateReportRef
from flywheel.artifacts.label_forecast import LabelForecast
from flywheel.artifacts.references import (
    CandidateRef,
    DirectedReview,
    FurtherTries,
    Recordable,
    SnapshotRef,
)
from flywheel.clock import Clock
from flywheel.errors import NotFoundError
from flywheel.io.records import Row
from flywheel.state.database import Database
from flywheel.state.schema import attempts

__all__ = ["Attempt", "Attempts"]

_REQUESTED_BY = "requested_by"


@dataclass(frozen=True)
class Attempt:
    """One try of a cycle; ``outcome`` is the status in which it ended.

    ``facts`` is the column of JSON behind the properties, to be shown to people as it is.
    """

    workload_id: str
    cycle: str
    number: int
    reason: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    facts: Mapping[str, object]

    @property
    def cycle_ref(self) -> CycleRef:
        """The cycle that it is a try of."""
        return CycleRef(self.workload_id, self.cycle)

    @property
    def requested_by(self) -> str | None:
        """The person who asked for a further attempt; None where the system did."""
        person = self.facts.get(_REQUESTED_BY)
        return None if person is None else str(person)

    @property
    def dataset(self) -> SnapshotRef | None:
        """The snapshot; None before it was built."""
        return SnapshotRef.from_facts(self.facts)

    @property
    def candidate(self) -> CandidateRef | None:
        """The release that was trained; None before that."""
        return CandidateRef.from_facts(self.facts)

    @property
    def gate(self) -> GateReportRef | None:
        """The gate's report and outcome; None before it ran."""
        return GateReportRef.from_facts(self.facts)

    @property
    def label_forecast(self) -> LabelForecast | None:
        """What further labels were expected to bring; None where that was not computed."""
        return LabelForecast.from_facts(self.facts)

    @property
    def few_shot(self) -> FewShotFinding | None:
        """How worked examples alone did before the training; None where that was not measured."""
        return FewShotFinding.from_facts(self.facts)

    @property
    def directed(self) -> DirectedReview:
        """The batches drawn for a second look of the gate."""
        return DirectedReview.from_facts(self.facts)

    @property
    def further_tries(self) -> FurtherTries:
        """The people who asked for another try of its release."""
        return FurtherTries.from_facts(self.facts)


class Attempts:
    """Read and write the table ``cycle_attempts``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def start(
        self,
        cycle: CycleRef,
        number: int,
        reason: str,
        requested_by: str | None = None,
    ) -> Attempt:
        """Begin an attempt; called by ``Cycles`` in its own transaction."""
        row = {
            "workload_id": cycle.workload_id,
            "cycle": cycle.name,
            "attempt": number,
            "reason": reason,
            "started_at": self._clock.now(),
            "facts": {} if requested_by is None else {_REQUESTED_BY: requested_by},
        }
        with self._database.write() as connection:
            connection.execute(insert(attempts).values(**row))
            return self.get(cycle, number)

    def end(self, cycle: CycleRef, number: int, outcome: str | None) -> None:
        """Say how an attempt ended; None opens it again."""
        values = {"ended_at": self._clock.now() if outcome else None, "outcome": outcome}
        with self._database.write() as connection:
            condition = _key(cycle, number)
            connection.execute(update(attempts).where(*condition).values(**values))

    def record(self, cycle: CycleRef, number: int, artifact: Recordable) -> Attempt:
        """Keep an artifact with an attempt; a later one of its kind replaces the former."""
        with self._database.write() as connection:
            current = self.get(cycle, number)
            statement = update(attempts).where(*_key(cycle, number))
            facts = {**current.facts, **artifact.to_facts()}
            merged = self._database.paths.stored_facts(facts)
            connection.execute(statement.values(facts=merged))
            return self.get(cycle, number)

    def get(self, cycle: CycleRef, number: int) -> Attempt:
        """Return one attempt; an unknown one raises NotFoundError."""
        query = select(attempts).where(*_key(cycle, number))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFoundError(
                f"Cycle {cycle.name} of {cycle.workload_id} has no attempt {number}.",
                next_step=f"see `flywheel explain {cycle.workload_id} {cycle.name}`",
            )
        return self._attempt_of(dict(row))

    def of(self, cycle: CycleRef) -> list[Attempt]:
        """List the attempts of a cycle, first to last."""
        condition = (attempts.c.workload_id == cycle.workload_id, attempts.c.cycle == cycle.name)
        query = select(attempts).where(*condition).order_by(attempts.c.attempt)
        with self._database.read() as connection:
            return [self._attempt_of(dict(row)) for row in connection.execute(query).mappings()]

    def _attempt_of(self, row: Row) -> Attempt:
        row["facts"] = self._database.paths.resolved_facts(row["facts"])
        return Attempt(number=row.pop("attempt"), **row)


def _key(cycle: CycleRef, number: int) -> tuple[ColumnElement[bool], ...]:
    return (
        attempts.c.workload_id == cycle.workload_id,
        attempts.c.cycle == cycle.name,
        attempts.c.attempt == number,
    )
