"""The webhook inbox: hints that something changed; what did, is read from the source.

A hint is durable so that the question is asked also after a crash, and is never more than a hint:
a forged, doubled, late or lost one changes when the question is asked, not what is answered.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from flywheel.clock import Clock
from flywheel.state.database import Database
from flywheel.state.schema import webhook_inbox

__all__ = ["PendingHints", "WebhookInbox"]

# How long a hint that was looked at stays, to be read by a person.
_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class PendingHints:
    """What was said about one workload and not looked at yet, up to the hint ``newest``."""

    newest: int
    count: int
    actions: frozenset[str]


class WebhookInbox:
    """Put into and take from the table ``webhook_inbox``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, hints: Iterable[tuple[str, str]]) -> None:
        """Keep hints, each a workload's id and what is said to have happened."""
        now = self._clock.now()
        rows = [
            {"workload_id": workload_id, "action": action, "received_at": now}
            for workload_id, action in hints
        ]
        if rows:
            with self._database.write() as connection:
                connection.execute(insert(webhook_inbox), rows)

    def pending(self) -> dict[str, PendingHints]:
        """Return what was not looked at yet, by workload."""
        query = select(webhook_inbox).where(webhook_inbox.c.done_at.is_(None))
        hints: dict[str, PendingHints] = {}
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(webhook_inbox.c.id)):
                before = hints.get(row.workload_id, PendingHints(0, 0, frozenset()))
                actions = before.actions | {row.action}
                hints[row.workload_id] = PendingHints(row.id, before.count + 1, actions)
        return hints

    def finish(self, workload_id: str, newest: int) -> None:
        """Record that the source was read after the hint ``newest``.

        A hint that came since stays: it may tell of something that the answer did not show.
        """
        now = self._clock.now()
        table = webhook_inbox
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.workload_id == workload_id)
                .where(table.c.id <= newest)
                .where(table.c.done_at.is_(None))
                .values(done_at=now)
            )
            connection.execute(delete(table).where(table.c.done_at < now - _KEPT))
