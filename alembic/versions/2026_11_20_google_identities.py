"""Whom a provider of sign-ins calls what, and people without a password.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SQLITE_IDS = {"sqlite_autoincrement": True}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "google_identities",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("sub", sa.String(length=255), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_google_identities_user_id_users")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_google_identities")),
        sa.UniqueConstraint("issuer", "sub", name=op.f("uq_google_identities_issuer_sub")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_google_identities_user_id", "google_identities", ["user_id"])
    with op.batch_alter_table("users", table_kwargs=SQLITE_IDS) as users:
        users.alter_column("password_hash", existing_type=sa.String(length=255), nullable=True)


def downgrade() -> None:
    """Undo; fails if there is whom the older schema cannot hold: a person without a password."""
    with op.batch_alter_table("users", table_kwargs=SQLITE_IDS) as users:
        users.alter_column("password_hash", existing_type=sa.String(length=255), nullable=False)
    op.drop_table("google_identities")
