"""An index of what is no transfer, by type: found without reading all that a wallet ever sent.

Making it holds up every posting for as long as it takes to read all transactions. Whoever has many
makes it beforehand, by the same words with `CREATE INDEX CONCURRENTLY`, and sees to it that it is
not marked INVALID, as it is if that failed: what is there under this name is left as it is.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NAME = "ix_transactions_wallet_id_type_id"
NO_TRANSFER = "type != 'transfer'"


def upgrade() -> None:
    """Apply. No transfer enters it, so posting one costs the same."""
    op.create_index(
        NAME,
        "transactions",
        ["wallet_id", "type", "id"],
        postgresql_where=sa.text(NO_TRANSFER),
        sqlite_where=sa.text(NO_TRANSFER),
        if_not_exists=True,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index(NAME, table_name="transactions")
