"""A cycle that waits for judgments is open: no second one may be opened beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BEFORE = "status IN ('open', 'training', 'awaiting_approval', 'approved')"
_NOW = "status IN ('open', 'training', 'awaiting_judgments', 'awaiting_approval', 'approved')"


def upgrade() -> None:
    """Make the index that holds one open cycle per workload cover the new status."""
    _index_open_cycles(_NOW)


def downgrade() -> None:
    """Let go of the status: a cycle that waits becomes one whose gate was inconclusive."""
    op.execute("UPDATE cycles SET status = 'inconclusive' WHERE status = 'awaiting_judgments'")
    _index_open_cycles(_BEFORE)


def _index_open_cycles(condition: str) -> None:
    op.drop_index("uq_cycles_one_open", table_name="cycles")
    op.create_index(
        "uq_cycles_one_open",
        "cycles",
        ["workload_id"],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
