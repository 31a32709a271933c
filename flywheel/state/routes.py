"""The route table: which release answers on which route. It is the truth; aliases follow it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from flywheel.clock import Clock
from flywheel.errors import RefusedError
from flywheel.state.database import Database
from flywheel.state.leases import Lease, Leases
from flywheel.state.schema import routes

__all__ = ["Route", "Routes"]

# The name under which every model server answers without an adapter.
_BASE_RELEASE = "base"
_STAGE_ROUTES = ("canary", "shadow")


@dataclass(frozen=True)
class Route:
    """One route of a workload, and since when and why it is so."""

    workload_id: str
    route: str
    release: str
    weight: float
    changed_at: datetime
    reason: str


class Routes:
    """Read and write the table ``routes``."""

    def __init__(self, database: Database, clock: Clock, leases: Leases) -> None:
        self._database = database
        self._clock = clock
        self._leases = leases

    def champion(self, workload_id: str) -> str:
        """Return the release that answers in production: ``base`` before the first promotion."""
        releases = {route.route: route.release for route in self.of(workload_id)}
        return releases.get("champion", _BASE_RELEASE)

    def answering(self, workload_id: str) -> frozenset[str]:
        """Return the releases that clients get answers of now: the champion, and a canary."""
        canaries = {
            route.release
            for route in self.of(workload_id)
            if route.route == "canary" and route.weight > 0
        }
        return frozenset(canaries | {self.champion(workload_id)})

    def of(self, workload_id: str) -> list[Route]:
        """List the routes of a workload by name."""
        query = select(routes).where(routes.c.workload_id == workload_id).order_by(routes.c.route)
        with self._database.read() as connection:
            return [Route(**row) for row in connection.execute(query).mappings()]

    def all(self) -> list[Route]:
        """List the routes of every workload, as they are at one moment."""
        query = select(routes).order_by(routes.c.workload_id, routes.c.route)
        with self._database.read() as connection:
            return [Route(**row) for row in connection.execute(query).mappings()]

    def switch_champion(
        self, workload_id: str, *, expected: str, release: str, reason: str, lease: Lease
    ) -> None:
        """Put ``release`` in the place of ``expected`` while ``lease`` is still held.

        Raises:
            ConcurrencyError: the lease was lost to another process.
            RefusedError: the champion is not the expected one.
        """
        with self._database.write() as connection:
            self._leases.check(lease)
            current = self.champion(workload_id)
            if current != expected:
                raise RefusedError(
                    f"The champion of {workload_id} is {current}, not {expected}.",
                    next_step="gate the candidate against the present champion",
                )
            self._put(connection, workload_id, "champion", release, 1.0, reason)

    def set_stage(
        self,
        workload_id: str,
        route: Literal["canary", "shadow"],
        *,
        release: str,
        weight: float,
        reason: str,
        lease: Lease,
    ) -> None:
        """Put a release on one of both stage routes and take it off the other.

        Raises:
            ConcurrencyError: the lease was lost to another process.
        """
        with self._database.write() as connection:
            self._clear_stages(connection, workload_id, lease)
            self._put(connection, workload_id, route, release, weight, reason)

    def clear_stages(self, workload_id: str, *, lease: Lease) -> None:
        """Take canary and shadow off the table; without one nothing changes.

        Raises:
            ConcurrencyError: the lease was lost to another process.
        """
        with self._database.write() as connection:
            self._clear_stages(connection, workload_id, lease)

    def _clear_stages(self, connection: Connection, workload_id: str, lease: Lease) -> None:
        self._leases.check(lease)
        staged = routes.c.route.in_(_STAGE_ROUTES)
        connection.execute(delete(routes).where((routes.c.workload_id == workload_id) & staged))

    def _put(
        self,
        connection: Connection,
        workload_id: str,
        route: str,
        release: str,
        weight: float,
        reason: str,
    ) -> None:
        condition = (routes.c.workload_id == workload_id) & (routes.c.route == route)
        connection.execute(delete(routes).where(condition))
        values = {"release": release, "weight": weight, "changed_at": self._clock.now()}
        row = insert(routes).values(workload_id=workload_id, route=route, reason=reason, **values)
        connection.execute(row)
