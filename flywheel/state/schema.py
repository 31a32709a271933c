"""The state's tables as SQLAlchemy sees them; ``migrations/`` brings a database to this shape.

Portable between SQLite and PostgreSQL: no dialect types, partial indexes with both spellings.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

from flywheel.errors import StorageError
from flywheel.state.cycle_status import OPEN_STATUSES

__all__ = [
    "HEAD",
    "OPEN_CONDITION",
    "UtcDateTime",
    "api_keys",
    "approvals",
    "attempts",
    "audit",
    "cycles",
    "decisions",
    "desk_records",
    "leases",
    "metadata",
    "people",
    "release_looks",
    "release_stages",
    "releases",
    "routes",
    "webhook_inbox",
]

# The newest migration: a database that says so needs no alembic, whose import costs 0.2 s.
HEAD = "0009"

OPEN_CONDITION = f"status IN {OPEN_STATUSES}"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database, whatever the dialect keeps of zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments and write the others in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise StorageError(
                f"{value.isoformat()} has no time zone.", next_step="pass an aware datetime"
            )
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Give the moment its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _name(name: str, *, optional: bool = False, key: bool = False) -> Column[Any]:
    return Column(name, String(200), nullable=optional, primary_key=key)


def _moment(name: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=optional)


def _text(name: str) -> Column[Any]:
    return Column(name, Text, nullable=False, server_default="")


def _json(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)


def _cycle_reference(table: str = "cycles") -> ForeignKeyConstraint:
    columns = ["workload_id", "cycle"]
    return ForeignKeyConstraint(columns, [f"{table}.{column}" for column in columns])


cycles = Table(
    "cycles",
    metadata,
    _name("workload_id", key=True),
    _name("cycle", key=True),
    _name("period"),
    Column("number", Integer, nullable=False),
    _name("trigger"),
    _name("trigger_key"),
    _name("opened_by"),
    _text("reason"),
    _name("status"),
    _text("status_reason"),
    Column("attempt", Integer, nullable=False),
    _moment("watermark"),
    _json("numbers"),
    _json("snapshot"),
    _moment("opened_at"),
    _moment("changed_at"),
    UniqueConstraint("workload_id", "period", "number"),
    UniqueConstraint("workload_id", "trigger_key"),
    Index(
        "uq_cycles_one_open",
        "workload_id",
        unique=True,
        sqlite_where=text(OPEN_CONDITION),
        postgresql_where=text(OPEN_CONDITION),
    ),
)

attempts = Table(
    "cycle_attempts",
    metadata,
    _name("workload_id", key=True),
    _name("cycle", key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    _text("reason"),
    _moment("started_at"),
    _moment("ended_at", optional=True),
    _name("outcome", optional=True),
    _json("facts"),
    _cycle_reference(),
)

decisions = Table(
    "trigger_decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    _name("workload_id"),
    _moment("decided_at"),
    Column("opens", Boolean, nullable=False),
    _name("trigger", optional=True),
    _name("cycle", optional=True),
    _text("reason"),
    _json("numbers"),
    Index("ix_trigger_decisions_workload", "workload_id", "id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True),
    _name("workload_id"),
    _name("cycle"),
    Column("attempt", Integer, nullable=False),
    _name("verdict"),
    _name("actor"),
    Column("simulated", Boolean, nullable=False),
    _name("channel"),
    _name("identity"),
    _name("requested_by"),
    _text("reason"),
    _name("release"),
    _name("manifest_digest"),
    _name("gate_digest"),
    _name("champion"),
    _moment("given_at"),
    _moment("expires_at"),
    _moment("voided_at", optional=True),
    _text("void_reason"),
    _cycle_reference(),
    CheckConstraint("verdict IN ('approved', 'rejected')", name="verdict"),
)

releases = Table(
    "releases",
    metadata,
    _name("release", key=True),
    _name("workload_id"),
    _name("cycle"),
    Column("attempt", Integer, nullable=False),
    _name("status"),
    _name("version", optional=True),
    _name("replaced", optional=True),
    _name("manifest_digest"),
    _text("adapter"),
    _name("dataset_hash"),
    _json("facts"),
    _json("steps"),
    _moment("created_at"),
    _moment("promoted_at", optional=True),
    _cycle_reference(),
    UniqueConstraint("workload_id", "version"),
)

routes = Table(
    "routes",
    metadata,
    _name("workload_id", key=True),
    _name("route", key=True),
    _name("release"),
    Column("weight", Float, nullable=False),
    _moment("changed_at"),
    _text("reason"),
)

release_stages = Table(
    "release_stages",
    metadata,
    Column("id", Integer, primary_key=True),
    _name("workload_id"),
    _name("release"),
    _name("champion"),
    Column("number", Integer, nullable=False),
    _name("kind"),
    Column("share", Float, nullable=False),
    _moment("began_at"),
    _moment("ended_at", optional=True),
    _name("outcome", optional=True),
    _text("reason"),
    UniqueConstraint("workload_id", "release", "number"),
    CheckConstraint("kind IN ('shadow', 'canary')", name="kind"),
    Index(
        "uq_release_stages_one_current",
        "workload_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

release_looks = Table(
    "release_looks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("stage_id", Integer, nullable=False),
    _moment("at"),
    _name("outcome"),
    _text("reason"),
    _json("figures"),
    ForeignKeyConstraint(["stage_id"], ["release_stages.id"]),
    Index("ix_release_looks_stage", "stage_id", "id"),
)

leases = Table(
    "leases",
    metadata,
    _name("name", key=True),
    Column("token", Integer, nullable=False),
    _name("holder", optional=True),
    _moment("expires_at"),
)

desk_records = Table(
    "desk_records",
    metadata,
    _name("kind", key=True),
    _name("key", key=True),
    _json("facts"),
    _moment("ends_at"),
    Index("ix_desk_records_ends_at", "ends_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _moment("at"),
    _name("event"),
    _name("subject"),
    _name("actor"),
    Column("details", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    # A fork of the chain would need the same predecessor twice.
    UniqueConstraint("previous_hash"),
)

webhook_inbox = Table(
    "webhook_inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    _name("workload_id"),
    _name("action"),
    _moment("received_at"),
    _moment("done_at", optional=True),
    Index("ix_webhook_inbox_pending", "workload_id", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _name("key_id", key=True),
    _name("client_id"),
    Column("secret_hash", String(64), nullable=False),
    _json("workloads"),
    Column("requests_per_minute", Integer, nullable=True),
    Column("tokens_per_day", BigInteger, nullable=True),
    Column("requests_at_once", Integer, nullable=True),
    _moment("created_at"),
    _name("created_by"),
    _moment("expires_at", optional=True),
    _moment("revoked_at", optional=True),
    _moment("last_used_at", optional=True),
)

# What every process of the gateway let each key use; a day is one in UTC.
key_use = Table(
    "key_use",
    metadata,
    _name("key_id", key=True),
    Column("day", Date, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

people = Table(
    "people",
    metadata,
    _name("name", key=True),
    _name("name_key"),
    _name("email", optional=True),
    _json("roles"),
    _name("token_id"),
    Column("token_hash", String(64), nullable=False),
    _moment("created_at"),
    _name("created_by"),
    _moment("expires_at", optional=True),
    _moment("revoked_at", optional=True),
    _moment("last_used_at", optional=True),
    UniqueConstraint("name_key"),
    UniqueConstraint("email"),
    UniqueConstraint("token_id"),
)
