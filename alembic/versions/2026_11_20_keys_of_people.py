"""People make keys of their own: these are listed in pages, and those not revoked are counted.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NOT_REVOKED = "revoked_at IS NULL"


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_api_keys_user_id", table_name="api_keys")
    op.create_index("ix_api_keys_user_id_id", "api_keys", ["user_id", "id"])
    op.create_index(
        "ix_api_keys_not_revoked_user_id",
        "api_keys",
        ["user_id"],
        postgresql_where=sa.text(NOT_REVOKED),
        sqlite_where=sa.text(NOT_REVOKED),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_api_keys_not_revoked_user_id", table_name="api_keys")
    op.drop_index("ix_api_keys_user_id_id", table_name="api_keys")
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
