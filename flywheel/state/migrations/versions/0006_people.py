"""People who read and decide at the release desk, with the hash of their personal token."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NAME = sa.String(length=200)
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "people",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("name_key", _NAME, nullable=False),
        sa.Column("email", _NAME, nullable=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("token_id", _NAME, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("created_by", _NAME, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_people"),
        sa.UniqueConstraint("name_key", name="uq_people_name_key"),
        sa.UniqueConstraint("email", name="uq_people_email"),
        sa.UniqueConstraint("token_id", name="uq_people_token_id"),
    )


def downgrade() -> None:
    """Drop the table; names are taken on trust again then."""
    op.drop_table("people")
