"""What the release desk keeps for a while: sessions, sign-ins that were begun, attempts to sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAME = sa.String(length=200)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "desk_records",
        sa.Column("kind", _NAME, nullable=False),
        sa.Column("key", _NAME, nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", name="pk_desk_records"),
    )
    op.create_index("ix_desk_records_ends_at", "desk_records", ["ends_at"])


def downgrade() -> None:
    """Drop the table; everybody signs in again then."""
    op.drop_table("desk_records")
