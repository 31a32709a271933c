"""Releases: immutable adapters, the steps of their promotion and what they replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from flywheel.clock import Clock
from flywheel.errors import NotFoundError, RefusedError
from flywheel.state.database import Database
from flywheel.state.schema import releases

__all__ = ["Release", "ReleaseStatus", "Releases"]

ReleaseStatus = Literal["candidate", "promoting", "champion", "retired", "rolled_back"]


@dataclass(frozen=True)
class Release:
    """One adapter; ``steps`` says when each step of its promotion was done."""

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
    facts: dict[str, Any]
    steps: dict[str, str]
    created_at: datetime
    promoted_at: datetime | None


class Releases:
    """Read and write the table ``releases``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def record(  # noqa: PLR0913 - what a release is bound to
        self,
        release: str,
        *,
        workload_id: str,
        cycle: str,
        attempt: int,
        manifest_digest: str,
        adapter: str,
        dataset_hash: str,
        facts: Mapping[str, Any] | None = None,
    ) -> Release:
        """Keep a trained adapter as a candidate; the same one again changes nothing.

        Raises:
            RefusedError: the name was used for other content.
        """
        values: dict[str, Any] = {
            "release": release,
            "workload_id": workload_id,
            "cycle": cycle,
            "attempt": attempt,
            "manifest_digest": manifest_digest,
            "adapter": self._database.paths.stored(adapter),
            "dataset_hash": dataset_hash,
            "facts": self._database.paths.stored_facts(facts or {}),
        }
        with self._database.write() as connection:
            known = self._find(connection, release)
            if known is None:
                new = {"status": "candidate", "steps": {}, "created_at": self._clock.now()}
                connection.execute(insert(releases).values(**values, **new))
                return self._get(connection, release)
            if known.manifest_digest != manifest_digest or known.workload_id != workload_id:
                raise RefusedError(
                    f"The release name {release} was used for another adapter.",
                    next_step="train under a new name: a name is never used again",
                )
            return known

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

    def change(self, release: str, **values: Any) -> Release:
        """Set columns such as ``status``, ``version``, ``replaced`` or ``promoted_at``."""
        with self._database.write() as connection:
            self._get(connection, release)
            if "facts" in values:
                values["facts"] = self._database.paths.stored_facts(values["facts"])
            mine = releases.c.release == release
            connection.execute(update(releases).where(mine).values(**values))
            return self._get(connection, release)

    def mark_step(self, release: str, step: str, **facts: Any) -> Release:
        """Say that a step of the promotion is done, with the facts it left."""
        with self._database.write() as connection:
            known = self._get(connection, release)
            steps = {**known.steps, step: self._clock.now().isoformat()}
            return self.change(release, steps=steps, facts={**known.facts, **facts})

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
        found = self._find(connection, release)
        if found is None:
            raise NotFoundError(
                f"There is no release {release}.",
                next_step="see them with `flywheel cycles WORKLOAD`",
            )
        return found
