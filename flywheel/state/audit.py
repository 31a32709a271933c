"""The audit: rows are only ever added, and each carries the hash of the row before.

A changed, removed or reordered row breaks the chain. Cutting off the newest rows does not, and
writing the whole chain again does not: `AuditHeads` keeps the hashes outside the database.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from flywheel.clock import Clock
from flywheel.errors import IntegrityError
from flywheel.io.records import Row
from flywheel.state.audit_heads import UNWRITTEN_ROWS, AuditHeads
from flywheel.state.database import Database
from flywheel.state.schema import audit

__all__ = ["Audit", "AuditRow"]

_GENESIS = "0" * 64
_BATCH = 1000


@dataclass(frozen=True)
class AuditRow:
    """One thing that happened, who did it, and its place in the chain."""

    seq: int
    at: datetime
    event: str
    subject: str
    actor: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


class Audit:
    """Append to, read and verify the table ``audit``; ``heads`` gets the hash of every row."""

    def __init__(self, database: Database, clock: Clock, heads: AuditHeads | None = None) -> None:
        self._database = database
        self._clock = clock
        self._heads = heads

    def append(
        self, event: str, subject: str, actor: str, details: Mapping[str, Any] | None = None
    ) -> AuditRow:
        """Add one row to the chain.

        Args:
            event: what happened, such as ``promotion.done``.
            subject: whom it concerns, such as ``WORKLOAD/CYCLE``.
            actor: who did it.
            details: JSON values.
        """
        facts = self._database.paths.stored_facts(details or {})
        written = json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False)
        with self._database.write() as connection:
            before = self._newest(connection)
            last = before[-1] if before else None
            row = self._append(connection, last, event, subject, actor, written)
            if self._heads is not None:
                rows = [*before, (row.seq, row.hash)]
                self._database.after_commit(partial(self._heads.append, rows))
            return row

    def _newest(self, connection: Connection) -> list[tuple[int, str]]:
        newest = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc())
        rows = connection.execute(newest.limit(UNWRITTEN_ROWS)).all()
        return [(row.seq, row.hash) for row in reversed(rows)]

    def _append(
        self,
        connection: Connection,
        last: tuple[int, str] | None,
        event: str,
        subject: str,
        actor: str,
        details: str,
    ) -> AuditRow:
        # One transaction writes at a time, so no two extend the same row.
        values: dict[str, Any] = {
            "seq": 1 if last is None else last[0] + 1,
            "at": self._clock.now(),
            "event": event,
            "subject": subject,
            "actor": actor,
            "details": details,
            "previous_hash": _GENESIS if last is None else last[1],
        }
        values["hash"] = _hash(values)
        connection.execute(insert(audit).values(**values))
        return AuditRow(**{**values, "details": json.loads(details)})

    def of(self, subject: str | None = None) -> list[AuditRow]:
        """List the rows about a subject, or all of them, in the order they were written."""
        query = select(audit).order_by(audit.c.seq)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        with self._database.read() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [AuditRow(**{**row, "details": json.loads(row["details"])}) for row in rows]

    def newest(self) -> int:
        """Return the number of the newest row, 0 before the first; the chain is not followed."""
        with self._database.read() as connection:
            rows = self._newest(connection)
        return rows[-1][0] if rows else 0

    def verify(self) -> tuple[int, str]:
        """Follow the whole chain and return its length and newest hash.

        Raises:
            IntegrityError: a row was changed, removed or put in from outside, or the chain is not
                the one whose hashes were kept.
        """
        heads = {} if self._heads is None else self._heads.read()
        chain = self._chain()
        if self._heads is not None:
            self._compare(self._heads, heads, chain)
        return len(chain), chain[len(chain)] if chain else _GENESIS

    def without_head(self) -> int:
        """Count the newest rows whose hash is not in the file: what a crash leaves, or a cut."""
        return self._lacking() if self._database.address.is_sqlite else 0

    def without_comparison(self) -> int:
        """Count the rows of a server's database whose hash the file lacks: mostly those of other homes."""
        return 0 if self._database.address.is_sqlite else self._lacking()

    def _lacking(self) -> int:
        if self._heads is None:
            return 0
        heads = self._heads.read()
        return sum(seq not in heads for seq in self._chain())

    def keep_heads(self) -> Path | None:
        """Write the hashes of the chain into the file again; return where the former file is now.

        Raises:
            IntegrityError: the chain itself is broken.
        """
        return None if self._heads is None else self._heads.rewrite(self._chain())

    def has_heads(self) -> bool:
        """Return whether the hashes of the chain are in a file already."""
        return self._heads is not None and self._heads.path.exists()

    def _compare(
        self, file: AuditHeads, heads: Mapping[int, str], chain: Mapping[int, str]
    ) -> None:
        differences = AuditHeads.differences(heads, chain)
        if self._database.address.is_sqlite:  # a server may be written from several homes
            # The chain may have grown since the file was read.
            missing = AuditHeads.missing(file.read(), chain)
            differences += [] if missing is None else [missing]
        if differences:
            raise IntegrityError(
                f"The audit is not the one that {file.path} remembers: {'; '.join(differences)}.",
                next_step="restore state database and file from a backup and compare the rows; "
                "`flywheel audit accept` continues from the audit as it is",
            )

    def _chain(self) -> dict[int, str]:
        previous, count, chain = _GENESIS, 0, {}
        with self._database.read() as connection:
            query = select(audit).order_by(audit.c.seq).execution_options(yield_per=_BATCH)
            for row in connection.execute(query).mappings():
                values: dict[str, Any] = dict(row)
                count += 1
                recorded_hash = values.pop("hash")
                if (values["seq"], values["previous_hash"]) != (
                    count,
                    previous,
                ) or recorded_hash != _hash(values):
                    raise IntegrityError(
                        f"The audit is broken at row {values['seq']}: it was changed, or rows "
                        "before it were removed.",
                        next_step="restore the state database from a backup and compare the rows",
                        seq=values["seq"],
                    )
                previous = chain[count] = recorded_hash
        return chain


def _hash(values: Row) -> str:
    stamped = {**values, "at": values["at"].astimezone(UTC).isoformat()}
    line = json.dumps(stamped, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(line.encode()).hexdigest()
