"""The webhook inbox: hints that something changed elsewhere, until they are processed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NAME = sa.String(length=200)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "webhook_inbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workload_id", _NAME, nullable=False),
        sa.Column("action", _NAME, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("done_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_inbox"),
    )
    op.create_index(
        "ix_webhook_inbox_pending", "webhook_inbox", ["workload_id", "id"], unique=False
    )


def downgrade() -> None:
    """Drop the table; hints are not data, so nothing is lost."""
    op.drop_table("webhook_inbox")
