"""The first shape of the state: cycles, decisions, approvals, releases, routes, leases, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.String(length=200)
_MOMENT = sa.DateTime(timezone=True)
_OPEN = sa.text("status IN ('open', 'training', 'awaiting_approval', 'approved')")


_MESSAGE = "the audit is append-only"
_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_no_{verb} BEFORE {verb} ON audit "
        f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        (
            "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_MESSAGE}'; END $$"
        ),
        (
            "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        ),
    ],
}


def upgrade() -> None:
    """Create every table, and let the database itself forbid changes to the audit."""
    _create_cycles()
    _create_releases()
    _create_the_rest()
    for statement in _APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop every table."""
    for name in (
        "audit",
        "leases",
        "routes",
        "releases",
        "approvals",
        "trigger_decisions",
        "cycle_attempts",
        "cycles",
    ):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_append_only")


def _create_cycles() -> None:
    op.create_table(
        "cycles",
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("cycle", _NAME, nullable=False),
        sa.Column("period", _NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("trigger", _NAME, nullable=False),
        sa.Column("trigger_key", _NAME, nullable=False),
        sa.Column("opened_by", _NAME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("status", _NAME, nullable=False),
        sa.Column("status_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("watermark", _MOMENT, nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("workload_id", "cycle", name="pk_cycles"),
        sa.UniqueConstraint(
            "workload_id", "period", "number", name="uq_cycles_workload_id_period_number"
        ),
        sa.UniqueConstraint("workload_id", "trigger_key", name="uq_cycles_workload_id_trigger_key"),
    )
    op.create_index(
        "uq_cycles_one_open",
        "cycles",
        ["workload_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "cycle_attempts",
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("cycle", _NAME, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("outcome", _NAME, nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workload_id", "cycle"],
            ["cycles.workload_id", "cycles.cycle"],
            name="fk_cycle_attempts_cycles",
        ),
        sa.PrimaryKeyConstraint("workload_id", "cycle", "attempt", name="pk_cycle_attempts"),
    )
    op.create_table(
        "trigger_decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("decided_at", _MOMENT, nullable=False),
        sa.Column("opens", sa.Boolean(), nullable=False),
        sa.Column("trigger", _NAME, nullable=True),
        sa.Column("cycle", _NAME, nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trigger_decisions"),
    )
    op.create_index(
        "ix_trigger_decisions_workload", "trigger_decisions", ["workload_id", "id"], unique=False
    )


def _create_releases() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("cycle", _NAME, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("verdict", _NAME, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("channel", _NAME, nullable=False),
        sa.Column("identity", _NAME, nullable=False),
        sa.Column("requested_by", _NAME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("release", _NAME, nullable=False),
        sa.Column("manifest_digest", _NAME, nullable=False),
        sa.Column("gate_digest", _NAME, nullable=False),
        sa.Column("champion", _NAME, nullable=False),
        sa.Column("given_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("voided_at", _MOMENT, nullable=True),
        sa.Column("void_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("verdict IN ('approved', 'rejected')", name="ck_approvals_verdict"),
        sa.ForeignKeyConstraint(
            ["workload_id", "cycle"],
            ["cycles.workload_id", "cycles.cycle"],
            name="fk_approvals_cycles",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
    )
    op.create_table(
        "releases",
        sa.Column("release", _NAME, nullable=False),
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("cycle", _NAME, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", _NAME, nullable=False),
        sa.Column("version", _NAME, nullable=True),
        sa.Column("replaced", _NAME, nullable=True),
        sa.Column("manifest_digest", _NAME, nullable=False),
        sa.Column("adapter", sa.Text(), server_default="", nullable=False),
        sa.Column("dataset_hash", _NAME, nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("promoted_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["workload_id", "cycle"],
            ["cycles.workload_id", "cycles.cycle"],
            name="fk_releases_cycles",
        ),
        sa.PrimaryKeyConstraint("release", name="pk_releases"),
        sa.UniqueConstraint("workload_id", "version", name="uq_releases_workload_id_version"),
    )


def _create_the_rest() -> None:
    op.create_table(
        "routes",
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("route", _NAME, nullable=False),
        sa.Column("release", _NAME, nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("workload_id", "route", name="pk_routes"),
    )
    op.create_table(
        "leases",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("holder", _NAME, nullable=True),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("event", _NAME, nullable=False),
        sa.Column("subject", _NAME, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sa.UniqueConstraint("previous_hash", name="uq_audit_previous_hash"),
    )
