"""`State`: the SQL state of one platform, a store for each kind of row."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from flywheel.clock import Clock, SystemClock
from flywheel.errors import FlywheelError
from flywheel.state.api_keys import ApiKeys
from flywheel.state.approvals import Approvals
from flywheel.state.attempts import Attempts
from flywheel.state.audit import Audit
from flywheel.state.audit_heads import AuditHeads
from flywheel.state.cycles import Cycles
from flywheel.state.database import Database
from flywheel.state.decisions import Decisions
from flywheel.state.desk_records import DeskRecords
from flywheel.state.inbox import WebhookInbox
from flywheel.state.key_use import KeyUse
from flywheel.state.leases import Leases
from flywheel.state.people import People
from flywheel.state.predecessor import refuse_left_behind
from flywheel.state.releases import Releases
from flywheel.state.routes import Routes
from flywheel.state.stages import Stages

__all__ = ["AUDIT_HEADS", "State"]

# The file in the home that keeps the hashes of the audit.
AUDIT_HEADS = "audit_heads.jsonl"
# Schemas of before there was such a file: what was audited until now is what it begins with.
_BEFORE_AUDIT_HEADS = {"0001", "0002"}


class State:
    """Cycles, attempts, decisions, approvals, releases, stages, routes, leases, inbox and audit.

    Args:
        url: SQLAlchemy URL of a database that is at the newest schema; see ``open``.
        clock: stamps every row.
        lease_clock: leases expire by it; by default the machine's.
        home: folder of the deployment: paths are stored relative to it, and it keeps the hashes
            of the audit.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        lease_clock: Clock | None = None,
        home: Path | None = None,
    ) -> None:
        self.clock = clock
        self._database = Database(url, home=home)
        self.audit = Audit(
            self._database, clock, None if home is None else AuditHeads(home / AUDIT_HEADS)
        )
        self.attempts = Attempts(self._database, clock)
        self.cycles = Cycles(self._database, clock, self.attempts, self.audit)
        self.decisions = Decisions(self._database, clock)
        self.approvals = Approvals(self._database, clock)
        self.releases = Releases(self._database, clock)
        self.leases = Leases(self._database, lease_clock or SystemClock())
        self.routes = Routes(self._database, clock, self.leases)
        self.stages = Stages(self._database, clock, self.leases)
        self.inbox = WebhookInbox(self._database, clock)
        self.api_keys = ApiKeys(self._database, clock, self.audit)
        self.key_use = KeyUse(self._database)
        self.desk_records = DeskRecords(self._database)
        self.people = People(self._database, clock, self.audit)

    @classmethod
    def open(
        cls,
        url: str,
        clock: Clock,
        *,
        lease_clock: Clock | None = None,
        before: str | None = None,
        home: Path | None = None,
    ) -> Self:
        """Create or migrate the database behind ``url`` and return a handle on it.

        Args:
            url: SQLAlchemy URL, of SQLite or PostgreSQL.
            clock: stamps every row.
            lease_clock: leases expire by it; by default the machine's.
            before: URL of the state that was used until now, if it was another one.
            home: folder of the deployment, see ``State``.

        Raises:
            ConfigurationError: ``before`` holds cycles and ``url`` none: it was not brought along.
        """
        state = cls(url, clock, lease_clock=lease_clock, home=home)
        try:
            state.migrate()
            if before is not None:
                refuse_left_behind(state._database, before)
        except FlywheelError:
            state.close()
            raise
        return state

    def close(self) -> None:
        """Close the connections of every thread."""
        self._database.close()

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        return self._database.address.place

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to the newest version and return the one it had and the one it has."""
        had, has = self._database.migrate()
        if had in _BEFORE_AUDIT_HEADS and not self.audit.has_heads():
            self.audit.keep_heads()
        return had, has

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything that this thread writes in the block one atomic step."""
        with self._database.write():
            yield
