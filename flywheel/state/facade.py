"""The one handle on the SQL state: small methods, grouped by table and composed here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from flywheel.clock import Clock, SystemClock
from flywheel.errors import FlywheelError
from flywheel.state.approvals import Approvals
from flywheel.state.attempts import Attempts
from flywheel.state.audit import Audit
from flywheel.state.audit_heads import AuditHeads
from flywheel.state.cycles import Cycles
from flywheel.state.database import Database
from flywheel.state.decisions import Decisions
from flywheel.state.inbox import WebhookInbox
from flywheel.state.leases import Leases
from flywheel.state.predecessor import refuse_left_behind
from flywheel.state.releases import Releases
from flywheel.state.routes import Routes

__all__ = ["AUDIT_HEADS", "State"]

# The file in the home that keeps the hashes of the audit.
AUDIT_HEADS = "audit_heads.jsonl"
# Schemas of before there was such a file: what was audited until now is what it begins with.
_BEFORE_AUDIT_HEADS = {"0001", "0002"}


class State:
    """Cycles, decisions, approvals, releases, routes, leases, hints and the audit of one platform.

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
        database = Database(url, home=home)
        attempts = Attempts(database, clock)
        audit = Audit(database, clock, None if home is None else AuditHeads(home / AUDIT_HEADS))
        cycles = Cycles(database, clock, attempts, audit)
        decisions = Decisions(database, clock)
        approvals = Approvals(database, clock)
        releases = Releases(database, clock)
        leases = Leases(database, lease_clock or SystemClock())
        routes = Routes(database, clock, leases)
        inbox = WebhookInbox(database, clock)
        self.clock = clock
        self.close = database.close
        self._database = database

        self.open_cycle = cycles.open
        self.get_cycle = cycles.get
        self.open_cycles = cycles.open_ones
        self.cycles = cycles.of
        self.set_cycle_status = cycles.set_status
        self.new_attempt = cycles.new_attempt
        self.record_attempt = attempts.add_facts
        self.attempt = cycles.attempt
        self.attempts = attempts.of

        self.record_decision = decisions.record
        self.decisions = decisions.of

        self.record_approval = approvals.record
        self.void_approval = approvals.void
        self.approvals = approvals.of
        self.granted_approval = approvals.granted

        self.record_release = releases.record
        self.get_release = releases.get
        self.releases = releases.of
        self.change_release = releases.change
        self.mark_release_step = releases.mark_step

        self.champion = routes.champion
        self.answering_releases = routes.answering
        self.routes = routes.of
        self.switch_champion = routes.switch_champion

        self.lease = leases.hold
        self.acquire_lease = leases.acquire
        self.renew_lease = leases.renew
        self.release_lease = leases.release
        self.fence_check = leases.check

        self.put_hints = inbox.put
        self.pending_hints = inbox.pending
        self.finish_hints = inbox.finish

        self.audit = audit.append
        self.audit_rows = audit.of
        self.verify_audit = audit.verify
        self.keep_audit_heads = audit.keep_heads
        self.has_audit_heads = audit.has_heads

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

    @property
    def place(self) -> str:
        """Where the database is, without a password."""
        return self._database.address.place

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to the newest version and return the one it had and the one it has."""
        had, has = self._database.migrate()
        if had in _BEFORE_AUDIT_HEADS and not self.has_audit_heads():
            self.keep_audit_heads()
        return had, has

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything that this thread writes in the block one atomic step."""
        with self._database.write():
            yield
