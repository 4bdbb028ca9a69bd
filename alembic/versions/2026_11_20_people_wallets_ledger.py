"""People, wallets and the ledger.

Revision: 0001, the first
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite gives only a column of type INTEGER its own row id.
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    installations = op.create_table(
        "installations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installations")),
    )
    op.bulk_insert(installations, [{"id": uuid4().hex}])
    op.create_table(
        "users",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("email_folded", sa.String(length=320), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email_folded", name=op.f("uq_users_email_folded")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sign_ins_user_id", "sign_ins", ["user_id"], unique=False)

    op.create_table(
        "wallets",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=True),
        sa.Column("wallet_number", sa.String(length=12), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("may_go_negative", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "balance_minor <= 999999999999999", name=op.f("ck_wallets_balance_limit")
        ),
        sa.CheckConstraint(
            "balance_minor >= 0 OR may_go_negative", name=op.f("ck_wallets_balance_not_negative")
        ),
        sa.CheckConstraint(
            "closed_at IS NULL OR balance_minor = 0", name=op.f("ck_wallets_closed_empty")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_wallets_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallets")),
        sa.UniqueConstraint("wallet_number", name=op.f("uq_wallets_wallet_number")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_wallets_user_id", "wallets", ["user_id"], unique=False)
    op.create_index(
        "uq_wallets_open_user_id",
        "wallets",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
        sqlite_where=sa.text("closed_at IS NULL"),
    )

    op.create_table(
        "refresh_tokens",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("sign_in_id", BIG_ID, nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["sign_in_id"], ["sign_ins.id"], name=op.f("fk_refresh_tokens_sign_in_id_sign_ins")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_refresh_tokens_token_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_refresh_tokens_sign_in_id", "refresh_tokens", ["sign_in_id"], unique=False)

    op.create_table(
        "transactions",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("failure_code", sa.String(length=64), nullable=True),
        sa.Column("wallet_id", BIG_ID, nullable=False),
        sa.Column("counterparty_wallet_id", BIG_ID, nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state = 'FAILED') = (failure_code IS NOT NULL)",
            name=op.f("ck_transactions_failed_with_code"),
        ),
        sa.CheckConstraint(
            "state IN ('PROCESSING', 'SUCCESS', 'FAILED')", name=op.f("ck_transactions_state")
        ),
        sa.CheckConstraint(
            "type IN ('deposit', 'withdrawal', 'transfer')", name=op.f("ck_transactions_type")
        ),
        sa.CheckConstraint(
            "amount_minor <= 999999999999999", name=op.f("ck_transactions_amount_limit")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_transactions_amount_positive")),
        sa.ForeignKeyConstraint(
            ["counterparty_wallet_id"],
            ["wallets.id"],
            name=op.f("fk_transactions_counterparty_wallet_id_wallets"),
        ),
        sa.ForeignKeyConstraint(
            ["wallet_id"], ["wallets.id"], name=op.f("fk_transactions_wallet_id_wallets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transactions")),
        sa.UniqueConstraint(
            "id", "amount_minor", "currency", name=op.f("uq_transactions_id_amount_minor_currency")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_transactions_counterparty_wallet_id_id",
        "transactions",
        ["counterparty_wallet_id", "id"],
        unique=False,
        postgresql_where=sa.text("counterparty_wallet_id IS NOT NULL"),
        sqlite_where=sa.text("counterparty_wallet_id IS NOT NULL"),
    )
    op.create_index(
        "ix_transactions_wallet_id_id", "transactions", ["wallet_id", "id"], unique=False
    )

    op.create_table(
        "entries",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=False),
        sa.Column("wallet_id", BIG_ID, nullable=True),
        sa.Column("entry_type", sa.String(length=6), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=8), nullable=False),
        sa.Column("balance_snapshot_minor", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("entry_type IN ('DEBIT', 'CREDIT')", name=op.f("ck_entries_entry_type")),
        sa.CheckConstraint(
            "(wallet_id IS NULL) = (balance_snapshot_minor IS NULL)",
            name=op.f("ck_entries_snapshot_of_wallet"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_entries_amount_positive")),
        sa.ForeignKeyConstraint(
            ["transaction_id", "amount_minor", "currency"],
            ["transactions.id", "transactions.amount_minor", "transactions.currency"],
            name="fk_entries_transaction",
        ),
        sa.ForeignKeyConstraint(
            ["wallet_id"], ["wallets.id"], name=op.f("fk_entries_wallet_id_wallets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint(
            "transaction_id", "entry_type", name=op.f("uq_entries_transaction_id_entry_type")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_entries_wallet_id_id", "entries", ["wallet_id", "id"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("principal_id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("transaction_id", BIG_ID, nullable=True),
        sa.Column("replays", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(fingerprint) = 32", name=op.f("ck_idempotency_keys_fingerprint_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["users.id"], name=op.f("fk_idempotency_keys_principal_id_users")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_idempotency_keys_transaction_id_transactions"),
        ),
        sa.PrimaryKeyConstraint("principal_id", "key", name=op.f("pk_idempotency_keys")),
    )


def downgrade() -> None:
    """Undo; indexes go with their tables."""
    for table in (
        "idempotency_keys",
        "entries",
        "transactions",
        "refresh_tokens",
        "wallets",
        "sign_ins",
        "users",
        "installations",
    ):
        op.drop_table(table)
