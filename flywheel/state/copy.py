"""Copy a whole state into an empty database, such as the embedded one into PostgreSQL.

No other process writes to either database meanwhile, and the target has all of it or nothing.
"""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, insert, select, text

from flywheel.clock import Clock, SystemClock
from flywheel.errors import (
    ConcurrencyError,
    ConfigurationError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    StorageError,
)
from flywheel.io.records import Row
from flywheel.state.address import parse_address
from flywheel.state.audit import Audit
from flywheel.state.database import Database
from flywheel.state.leases import is_held
from flywheel.state.schema import HEAD, leases, metadata

__all__ = ["StateCopy", "copy_state"]

_BATCH = 500


@dataclass(frozen=True)
class StateCopy:
    """A finished copy: where from, where to, rows per table, and the audit's newest hash."""

    source: str
    target: str
    rows: dict[str, int]
    newest_hash: str


def copy_state(source_url: str, target_url: str, *, clock: Clock | None = None) -> StateCopy:
    """Copy every table of a state into an empty database and verify the copy before it counts.

    Args:
        source_url: a state at the newest schema; nothing in it is changed.
        target_url: a database without a state; it gets the schema.
        clock: tells which leases are still held; by default the machine's.

    Raises:
        NotFoundError: there is no state at the source.
        RefusedError: the target holds a state already.
        ConcurrencyError: a process is at work on the source.
        IntegrityError: the source's audit is broken, or the copy is not the same; nothing is kept.
    """
    _require_two(source_url, target_url)
    source, target = Database(source_url), Database(target_url)
    try:
        _require_copyable(source)
        target.migrate()
        # Held to the end, so that nothing is written that the copy would lack.
        with source.write() as old, target.write() as new:
            _require_idle(old, clock or SystemClock())
            _require_empty(new, target.address.place)
            newest = _verified_audit(source)
            for table in metadata.sorted_tables:
                _copy_table(old, new, table)
            rows = _require_same(old, new)
            if _verified_audit(target) != newest:
                raise _not_the_same("audit")
        return StateCopy(source.address.place, target.address.place, rows, newest[1])
    finally:
        source.close()
        target.close()


def _require_two(source_url: str, target_url: str) -> None:
    # Before either is opened, which makes the folder of a file.
    source, target = parse_address(source_url), parse_address(target_url)
    if source.url == target.url:
        raise ConfigurationError(
            f"Source and target are the same: {source.place}.",
            next_step="set FLYWHEEL_STATE_URL to the new database (or FLYWHEEL_PROFILE=services)",
        )


def _require_copyable(source: Database) -> None:
    exists = not source.address.is_sqlite or source.address.file.is_file()
    revision = source.revision() if exists else None
    if revision is None:
        raise NotFoundError(
            f"There is no state in the {source.address.place}.",
            next_step="give another one with --from; without a state there is nothing to copy",
        )
    if revision != HEAD:
        raise StorageError(
            f"The {source.address.place} has schema {revision}, not {HEAD}.",
            next_step="run `flywheel state upgrade` on it first",
        )


def _require_idle(connection: Connection, clock: Clock) -> None:
    now = clock.now()
    for row in connection.execute(select(leases)):
        if is_held(row.holder, row.expires_at, now):
            raise ConcurrencyError(
                f"{row.holder} is at work and holds {row.name}.",
                next_step="stop what uses the state (`flywheel services down`), then copy again",
            )


def _require_empty(connection: Connection, place: str) -> None:
    counts = {table.name: _count(connection, table) for table in metadata.sorted_tables}
    filled = [f"{count} {name}" for name, count in counts.items() if count]
    if filled:
        raise RefusedError(
            f"The {place} holds a state already: {', '.join(filled)}.",
            next_step="give an empty database: two states cannot be merged",
        )


def _copy_table(old: Connection, new: Connection, table: Table) -> None:
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
    for batch in old.execute(query).mappings().partitions(_BATCH):
        new.execute(insert(table), [dict(row) for row in batch])
    number = table.autoincrement_column
    if new.dialect.name == "postgresql" and number is not None:
        # Rows that bring their own number do not move the sequence.
        newest = new.execute(select(func.max(number))).scalar()
        move = text("SELECT setval(pg_get_serial_sequence(:table, :column), :newest)")
        if newest is not None:
            new.execute(move, {"table": table.name, "column": number.name, "newest": newest})


def _require_same(old: Connection, new: Connection) -> dict[str, int]:
    rows = {}
    for table in metadata.sorted_tables:
        then, now = _row_digests(old, table), _row_digests(new, table)
        if then != now:
            raise _not_the_same(table.name)
        rows[table.name] = then.total()
    return rows


def _row_digests(connection: Connection, table: Table) -> Counter[str]:
    # Unordered: two databases sort names in ways of their own.
    query = select(table).execution_options(yield_per=_BATCH)
    return Counter(_digest(dict(row)) for row in connection.execute(query).mappings())


def _digest(row: Row) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)


def _verified_audit(database: Database) -> tuple[int, str]:
    return Audit(database, SystemClock()).verify()


def _not_the_same(subject: str) -> IntegrityError:
    return IntegrityError(
        f"The copy of {subject} is not the same as the source; nothing was kept.",
        next_step="copy again; if it stays so, look at the database's encoding and version",
    )
