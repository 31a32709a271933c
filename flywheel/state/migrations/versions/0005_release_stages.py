"""Stages of a release between approval and champion, what was seen in them, and cycles in one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAME = sa.String(length=200)
_MOMENT = sa.DateTime(timezone=True)
_BEFORE = "status IN ('open', 'training', 'awaiting_judgments', 'awaiting_approval', 'approved')"
_OPEN = (
    "status IN "
    "('open', 'training', 'awaiting_judgments', 'awaiting_approval', 'approved', 'releasing')"
)
_UNFINISHED = "ended_at IS NULL"


def upgrade() -> None:
    """Create both tables, and count a cycle whose release is in a stage as open."""
    op.create_table(
        "release_stages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("release", _NAME, nullable=False),
        sa.Column("champion", _NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", _NAME, nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("began_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("outcome", _NAME, nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_release_stages"),
        sa.UniqueConstraint(
            "workload_id",
            "release",
            "number",
            name="uq_release_stages_workload_id_release_number",
        ),
        sa.CheckConstraint("kind IN ('shadow', 'canary')", name="ck_release_stages_kind"),
    )
    op.create_index(
        "uq_release_stages_one_current",
        "release_stages",
        ["workload_id"],
        unique=True,
        sqlite_where=sa.text(_UNFINISHED),
        postgresql_where=sa.text(_UNFINISHED),
    )
    op.create_table(
        "release_looks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("stage_id", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("outcome", _NAME, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_release_looks"),
        sa.ForeignKeyConstraint(
            ["stage_id"], ["release_stages.id"], name="fk_release_looks_release_stages"
        ),
    )
    op.create_index("ix_release_looks_stage", "release_looks", ["stage_id", "id"])
    _set_open_condition(_OPEN)


def downgrade() -> None:
    """Drop both tables; releases that were in a stage must be rolled back before."""
    op.drop_table("release_looks")
    op.drop_table("release_stages")
    _set_open_condition(_BEFORE)


def _set_open_condition(condition: str) -> None:
    op.drop_index("uq_cycles_one_open", table_name="cycles")
    op.create_index(
        "uq_cycles_one_open",
        "cycles",
        ["workload_id"],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
