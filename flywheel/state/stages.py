"""`Stages`, `Stage` and `StageLook`: a release in shadow and canary, and what was seen there.

Both tables are only added to; the one change to a stage is that it ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, insert, select, update

from flywheel.clock import Clock
from flywheel.errors import ConcurrencyError
from flywheel.state.database import Database
from flywheel.state.leases import Lease, Leases
from flywheel.state.schema import release_looks, release_stages

__all__ = ["Stage", "StageKind", "StageLook", "StageOutcome", "Stages"]

StageKind = Literal["shadow", "canary"]
StageOutcome = Literal["advanced", "promoted", "rolled_back"]


@dataclass(frozen=True)
class Stage:
    """One stage of a release on its way to champion.

    ``champion`` is the release that it is measured against; ``number`` counts a release's stages
    from 1, those of its tries together; ``share`` is of requests that are copied (shadow) or of subjects (canary). ``outcome`` is
    None until it ends; ``reason`` says why it began and then, after a semicolon, why it ended.
    """

    id: int
    workload_id: str
    release: str
    champion: str
    number: int
    kind: StageKind
    share: float
    began_at: datetime
    ended_at: datetime | None
    outcome: StageOutcome | None
    reason: str


@dataclass(frozen=True)
class StageLook:
    """The verdict on a stage at one moment, with the figures that it rests on."""

    id: int
    stage_id: int
    at: datetime
    outcome: str
    reason: str
    figures: Mapping[str, Any]


class Stages:
    """Read and write the tables ``release_stages`` and ``release_looks``."""

    def __init__(self, database: Database, clock: Clock, leases: Leases) -> None:
        self._database = database
        self._clock = clock
        self._leases = leases

    def begin(  # noqa: PLR0913 - a stage's columns, and the right to write them
        self,
        workload_id: str,
        *,
        release: str,
        champion: str,
        number: int,
        kind: StageKind,
        share: float,
        reason: str,
        lease: Lease,
    ) -> Stage:
        """Record that a release enters a stage; the one before must have ended.

        Raises:
            ConcurrencyError: the lease was lost, or another stage of the workload has not ended.
        """
        with self._database.write() as connection:
            self._leases.check(lease)
            current = self.current(workload_id)
            if current is not None:
                raise ConcurrencyError(
                    f"{current.release} is in {current.kind} of {workload_id}: one release at a time.",
                    next_step="wait for its end, or roll it back",
                )
            row = insert(release_stages).values(
                workload_id=workload_id,
                release=release,
                champion=champion,
                number=number,
                kind=kind,
                share=share,
                began_at=self._clock.now(),
                reason=reason,
            )
            key = connection.execute(row).inserted_primary_key
            assert key is not None
            return self.get(key[0])

    def end(self, stage: Stage, outcome: StageOutcome, reason: str, *, lease: Lease) -> Stage:
        """Record that a stage is over, how and why.

        Raises:
            ConcurrencyError: the lease was lost, or the stage has ended already.
        """
        unfinished = (release_stages.c.id == stage.id) & release_stages.c.ended_at.is_(None)
        reasons = "; ".join(filter(None, (stage.reason, reason)))
        values = {"ended_at": self._clock.now(), "outcome": outcome, "reason": reasons}
        with self._database.write() as connection:
            self._leases.check(lease)
            if connection.execute(
                update(release_stages).where(unfinished).values(**values)
            ).rowcount:
                return self.get(stage.id)
        raise ConcurrencyError(
            f"Stage {stage.number} of {stage.release} has ended already.",
            next_step=f"look at `flywheel release show {stage.workload_id}`",
        )

    def current(self, workload_id: str) -> Stage | None:
        """Return the stage of a workload that has not ended; None where no release is in one."""
        unfinished = release_stages.c.ended_at.is_(None)
        stages = self._list((release_stages.c.workload_id == workload_id) & unfinished)
        return stages[-1] if stages else None

    def get(self, stage_id: int) -> Stage:
        """Return one stage by its id."""
        return self._list(release_stages.c.id == stage_id)[0]

    def of(self, workload_id: str) -> list[Stage]:
        """List the stages of a workload's releases, oldest first."""
        return self._list(release_stages.c.workload_id == workload_id)

    def add_look(
        self, stage: Stage, *, outcome: str, reason: str, figures: Mapping[str, Any]
    ) -> None:
        """Record what a look at a stage showed; ``figures`` are JSON values."""
        row = insert(release_looks).values(
            stage_id=stage.id,
            at=self._clock.now(),
            outcome=outcome,
            reason=reason,
            figures=dict(figures),
        )
        with self._database.write() as connection:
            connection.execute(row)

    def looks(self, stage: Stage) -> list[StageLook]:
        """List the recorded looks at a stage, oldest first."""
        query = select(release_looks).where(release_looks.c.stage_id == stage.id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(release_looks.c.id)).mappings()
            return [StageLook(**row) for row in rows]

    def newest_look(self, stage: Stage) -> StageLook | None:
        """Return the last recorded look at a stage; None before the first."""
        query = select(release_looks).where(release_looks.c.stage_id == stage.id)
        newest = query.order_by(release_looks.c.id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(newest).mappings().first()
        return None if row is None else StageLook(**row)

    def _list(self, condition: ColumnElement[bool]) -> list[Stage]:
        query = select(release_stages).where(condition).order_by(release_stages.c.id)
        with self._database.read() as connection:
            return [Stage(**row) for row in connection.execute(query).mappings()]
