"""When a card was declined, and what operators did about payments that needed attention.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "provider_payments"
NEEDS_ATTENTION = "attention IS NOT NULL AND attended_at IS NULL"


def upgrade() -> None:
    """Apply."""
    op.add_column(TABLE, sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(TABLE, sa.Column("attended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(TABLE, sa.Column("attention_note", sa.String(length=200), nullable=True))
    op.create_index(
        "ix_provider_payments_attention",
        TABLE,
        ["id"],
        postgresql_where=sa.text(NEEDS_ATTENTION),
        sqlite_where=sa.text(NEEDS_ATTENTION),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_provider_payments_attention", table_name=TABLE)
    for name in ("attention_note", "attended_at", "declined_at"):
        op.drop_column(TABLE, name)
