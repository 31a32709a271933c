"""The state's tables as SQLAlchemy sees them; ``migrations/`` brings a database to this shape.

Portable between SQLite and PostgreSQL: no dialect types, partial indexes with both spellings.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
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

from flywheel.state.columns import (
    cycle_reference,
    json_column,
    moment_column,
    name_column,
    text_column,
)
from flywheel.state.cycle_status import OPEN_STATUSES

__all__ = [
    "HEAD",
    "OPEN_CONDITION",
    "api_keys",
    "approvals",
    "attempts",
    "audit",
    "cycles",
    "decisions",
    "desk_records",
    "key_use",
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

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

cycles = Table(
    "cycles",
    metadata,
    name_column("workload_id", key=True),
    name_column("cycle", key=True),
    name_column("period"),
    Column("number", Integer, nullable=False),
    name_column("trigger"),
    name_column("trigger_key"),
    name_column("opened_by"),
    text_column("reason"),
    name_column("status"),
    text_column("status_reason"),
    Column("attempt", Integer, nullable=False),
    moment_column("watermark"),
    json_column("numbers"),
    json_column("snapshot"),
    moment_column("opened_at"),
    moment_column("changed_at"),
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
    name_column("workload_id", key=True),
    name_column("cycle", key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    text_column("reason"),
    moment_column("started_at"),
    moment_column("ended_at", optional=True),
    name_column("outcome", optional=True),
    json_column("facts"),
    cycle_reference(),
)

decisions = Table(
    "trigger_decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    name_column("workload_id"),
    moment_column("decided_at"),
    Column("opens", Boolean, nullable=False),
    name_column("trigger", optional=True),
    name_column("cycle", optional=True),
    text_column("reason"),
    json_column("numbers"),
    Index("ix_trigger_decisions_workload", "workload_id", "id"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Integer, primary_key=True),
    name_column("workload_id"),
    name_column("cycle"),
    Column("attempt", Integer, nullable=False),
    name_column("verdict"),
    name_column("actor"),
    Column("simulated", Boolean, nullable=False),
    name_column("channel"),
    name_column("identity"),
    name_column("requested_by"),
    text_column("reason"),
    name_column("release"),
    name_column("manifest_digest"),
    name_column("gate_digest"),
    name_column("champion"),
    moment_column("given_at"),
    moment_column("expires_at"),
    moment_column("voided_at", optional=True),
    text_column("void_reason"),
    cycle_reference(),
    CheckConstraint("verdict IN ('approved', 'rejected')", name="verdict"),
)

releases = Table(
    "releases",
    metadata,
    name_column("release", key=True),
    name_column("workload_id"),
    name_column("cycle"),
    Column("attempt", Integer, nullable=False),
    name_column("status"),
    name_column("version", optional=True),
    name_column("replaced", optional=True),
    name_column("manifest_digest"),
    text_column("adapter"),
    name_column("dataset_hash"),
    json_column("facts"),
    json_column("steps"),
    moment_column("created_at"),
    moment_column("promoted_at", optional=True),
    cycle_reference(),
    UniqueConstraint("workload_id", "version"),
)

routes = Table(
    "routes",
    metadata,
    name_column("workload_id", key=True),
    name_column("route", key=True),
    name_column("release"),
    Column("weight", Float, nullable=False),
    moment_column("changed_at"),
    text_column("reason"),
)

release_stages = Table(
    "release_stages",
    metadata,
    Column("id", Integer, primary_key=True),
    name_column("workload_id"),
    name_column("release"),
    name_column("champion"),
    Column("number", Integer, nullable=False),
    name_column("kind"),
    Column("share", Float, nullable=False),
    moment_column("began_at"),
    moment_column("ended_at", optional=True),
    name_column("outcome", optional=True),
    text_column("reason"),
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
    moment_column("at"),
    name_column("outcome"),
    text_column("reason"),
    json_column("figures"),
    ForeignKeyConstraint(["stage_id"], ["release_stages.id"]),
    Index("ix_release_looks_stage", "stage_id", "id"),
)

leases = Table(
    "leases",
    metadata,
    name_column("name", key=True),
    Column("token", Integer, nullable=False),
    name_column("holder", optional=True),
    moment_column("expires_at"),
)

desk_records = Table(
    "desk_records",
    metadata,
    name_column("kind", key=True),
    name_column("key", key=True),
    json_column("facts"),
    moment_column("ends_at"),
    Index("ix_desk_records_ends_at", "ends_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    moment_column("at"),
    name_column("event"),
    name_column("subject"),
    name_column("actor"),
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
    name_column("workload_id"),
    name_column("action"),
    moment_column("received_at"),
    moment_column("done_at", optional=True),
    Index("ix_webhook_inbox_pending", "workload_id", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    name_column("key_id", key=True),
    name_column("client_id"),
    Column("secret_hash", String(64), nullable=False),
    json_column("workloads"),
    Column("requests_per_minute", Integer, nullable=True),
    Column("tokens_per_day", BigInteger, nullable=True),
    Column("requests_at_once", Integer, nullable=True),
    moment_column("created_at"),
    name_column("created_by"),
    moment_column("expires_at", optional=True),
    moment_column("revoked_at", optional=True),
    moment_column("last_used_at", optional=True),
)

# What every process of the gateway let each key use; a day is one in UTC.
key_use = Table(
    "key_use",
    metadata,
    name_column("key_id", key=True),
    Column("day", Date, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

people = Table(
    "people",
    metadata,
    name_column("name", key=True),
    name_column("name_key"),
    name_column("email", optional=True),
    json_column("roles"),
    name_column("token_id"),
    Column("token_hash", String(64), nullable=False),
    moment_column("created_at"),
    name_column("created_by"),
    moment_column("expires_at", optional=True),
    moment_column("revoked_at", optional=True),
    moment_column("last_used_at", optional=True),
    UniqueConstraint("name_key"),
    UniqueConstraint("email"),
    UniqueConstraint("token_id"),
)
