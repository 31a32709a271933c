"""`Releases` and `Release`: immutable adapters, the steps of their promotion, what they replaced.

What a release was trained on and what its promotion left is one column of JSON; a row is read
through the typed properties of `Release`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from flywheel.artifacts.cycle_ref import CycleRef
from flywheel.artifacts.references import Lineage
from flywheel.clock import Clock
from flywheel.errors import IntegrityError, NotFoundError, RefusedError
from flywheel.state.database import Database
from flywheel.state.schema import releases

__all__ = ["Release", "ReleaseStatus", "Releases"]

_MODEL_VERSION, _APPROVED_BY, _CALIBRATION = "model_version", "approved_by", "calibration"
ReleaseStatus = Literal[
    "candidate", "promoting", "shadow", "canary", "champion", "retired", "rolled_back"
]


@dataclass(frozen=True)
class Release:
    """One adapter; ``steps`` says when each step of its promotion was done.

    ``facts`` is the column of JSON behind the properties.
    """

    release: str
    workload_id: str
    cycle: str
    attempt: int
    status: ReleaseStatus
    version: str | None
    replaced: str | None
    manifest_digest: str
    adapter: str
    dataset_hash: str
    facts: Mapping[str, object]
    steps: dict[str, str]
    created_at: datetime
    promoted_at: datetime | None

    @property
    def cycle_ref(self) -> CycleRef:
        """The cycle that trained it."""
        return CycleRef(self.workload_id, self.cycle)

    @property
    def recorded_lineage(self) -> Lineage | None:
        """What it was trained on; None where its row does not hold that."""
        return Lineage.from_facts(self.facts)

    @property
    def lineage(self) -> Lineage:
        """What it was trained on; a row without that raises IntegrityError."""
        lineage = self.recorded_lineage
        if lineage is None:
            raise IntegrityError(
                f"The state does not hold what the release {self.release} was trained on.",
                next_step="restore the state from a backup, or train in a new attempt",
            )
        return lineage

    @property
    def model_version(self) -> str | None:
        """The version of the model in MLflow; None before it was registered."""
        return _text(self.facts.get(_MODEL_VERSION))

    @property
    def approved_by(self) -> str | None:
        """The person whose approval promoted it; None before that."""
        return _text(self.facts.get(_APPROVED_BY))

    @property
    def calibration(self) -> Mapping[str, Any] | None:
        """How its confidence is calibrated, as ``quality.calibration`` writes and reads it."""
        calibration = self.facts.get(_CALIBRATION)
        return calibration if isinstance(calibration, Mapping) else None


class Releases:
    """Read and write the table ``releases``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(
        self,
        release: str,
        *,
        cycle: CycleRef,
        attempt: int,
        manifest_digest: str,
        adapter: str,
        dataset_hash: str,
        lineage: Lineage | None = None,
    ) -> Release:
        """Keep a trained adapter as a candidate; the same one again changes nothing.

        Raises:
            RefusedError: the name was used for other content.
        """
        values: dict[str, Any] = {
            "release": release,
            "workload_id": cycle.workload_id,
            "cycle": cycle.name,
            "attempt": attempt,
            "manifest_digest": manifest_digest,
            "adapter": self._database.paths.stored(adapter),
            "dataset_hash": dataset_hash,
            "facts": self._database.paths.stored_facts(lineage.to_facts() if lineage else {}),
        }
        with self._database.write() as connection:
            existing = self._find(connection, release)
            if existing is None:
                new = {"status": "candidate", "steps": {}, "created_at": self._clock.now()}
                connection.execute(insert(releases).values(**values, **new))
                return self._get(connection, release)
            if (
                existing.manifest_digest != manifest_digest
                or existing.workload_id != cycle.workload_id
            ):
                raise RefusedError(
                    f"The release name {release} was used for another adapter.",
                    next_step="train under a new name: a name is never used again",
                )
            return existing

    def get(self, release: str) -> Release:
        """Return one release; an unknown one raises NotFoundError."""
        with self._database.read() as connection:
            return self._get(connection, release)

    def of(self, workload_id: str) -> list[Release]:
        """List the releases of a workload, oldest first."""
        query = select(releases).where(releases.c.workload_id == workload_id)
        with self._database.read() as connection:
            rows = connection.execute(
                query.order_by(releases.c.created_at, releases.c.release)
            ).mappings()
            return [self._release(dict(row)) for row in rows]

    def base_digests(self) -> frozenset[str]:
        """Return the bases that releases of any workload were trained on."""
        with self._database.read() as connection:
            rows = connection.execute(select(releases.c.facts)).scalars().all()
        lineages = (Lineage.from_facts(self._database.paths.resolved_facts(row)) for row in rows)
        return frozenset(lineage.base_digest for lineage in lineages if lineage is not None)

    def change(self, release: str, **values: Any) -> Release:
        """Set columns such as ``status``, ``version``, ``replaced`` or ``promoted_at``."""
        with self._database.write() as connection:
            self._get(connection, release)
            condition = releases.c.release == release
            connection.execute(update(releases).where(condition).values(**values))
            return self._get(connection, release)

    def mark_step(
        self,
        release: str,
        step: str,
        *,
        model_version: str | None = None,
        approved_by: str | None = None,
    ) -> Release:
        """Say that a step of the promotion is done, with the version or the approver it has."""
        facts = {_MODEL_VERSION: model_version, _APPROVED_BY: approved_by}
        with self._database.write() as connection:
            current = self._get(connection, release)
            steps = {**current.steps, step: self._clock.now().isoformat()}
            self.change(release, steps=steps)
            return self._add(current, {key: text for key, text in facts.items() if text})

    def calibrate(self, release: str, calibration: Mapping[str, Any]) -> Release:
        """Keep how the confidence of a release is calibrated."""
        with self._database.write() as connection:
            return self._add(self._get(connection, release), {_CALIBRATION: dict(calibration)})

    def move(self, release: str, lineage: Lineage, model_version: str | None) -> Release:
        """Point a release at its run, and version if it has one, in another MLflow."""
        facts = lineage.to_facts() | ({_MODEL_VERSION: model_version} if model_version else {})
        with self._database.write() as connection:
            return self._add(self._get(connection, release), facts)

    def _add(self, release: Release, facts: Mapping[str, object]) -> Release:
        stored = self._database.paths.stored_facts({**release.facts, **facts})
        return self.change(release.release, facts=stored)

    def _release(self, row: Mapping[str, Any]) -> Release:
        paths = self._database.paths
        values = dict(row)
        values["adapter"] = paths.resolved(values["adapter"])
        values["facts"] = paths.resolved_facts(values["facts"])
        return Release(**values)

    def _find(self, connection: Connection, release: str) -> Release | None:
        query = select(releases).where(releases.c.release == release)
        row = connection.execute(query).mappings().first()
        return None if row is None else self._release(dict(row))

    def _get(self, connection: Connection, release: str) -> Release:
        existing = self._find(connection, release)
        if existing is None:
            raise NotFoundError(
                f"There is no release {release}.",
                next_step="see them with `flywheel cycles WORKLOAD`",
            )
        return existing


def _text(value: object) -> str | None:
    return None if value is None else str(value)
