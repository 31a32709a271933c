"""The route table: which release answers on which route. It is the truth; aliases follow it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from flywheel.clock import Clock
from flywheel.errors import RefusedError
from flywheel.state.database import Database
from flywheel.state.leases import Lease, Leases
from flywheel.state.schema import routes

__all__ = ["Route", "Routes"]

# The name under which every model server answers without an adapter.
_BASE_RELEASE = "base"


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
        found = {route.route: route.release for route in self.of(workload_id)}
        return found.get("champion", _BASE_RELEASE)

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
            present = self.champion(workload_id)
            if present != expected:
                raise RefusedError(
                    f"The champion of {workload_id} is {present}, not {expected}.",
                    next_step="gate the candidate against the present champion",
                )
            mine = (routes.c.workload_id == workload_id) & (routes.c.route == "champion")
            connection.execute(delete(routes).where(mine))
            connection.execute(
                insert(routes).values(
                    workload_id=workload_id,
                    route="champion",
                    release=release,
                    weight=1.0,
                    changed_at=self._clock.now(),
                    reason=reason,
                )
            )
