"""An index of the receipts that were given up, which are listed and counted.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DEAD = "dead_at IS NOT NULL"


def upgrade() -> None:
    """Apply. Rows enter it only when they are given up, so writing the outbox costs the same."""
    op.create_index(
        "ix_outbox_dead_at",
        "outbox",
        ["dead_at"],
        postgresql_where=sa.text(DEAD),
        sqlite_where=sa.text(DEAD),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_outbox_dead_at", table_name="outbox")
