"""Limits of an application's key: tokens a day and requests at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_COLUMNS = {"tokens_per_day": sa.BigInteger(), "requests_at_once": sa.Integer()}


def upgrade() -> None:
    """Add the columns; a key that exists has no limit."""
    for name, kind in _COLUMNS.items():
        op.add_column("api_keys", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    """Drop the columns; no key has such a limit then."""
    for name in _COLUMNS:
        op.drop_column("api_keys", name)
