"""The tables and every constraint on them; the migrations are checked against this module.

Amounts are BIGINT counts of minor units. Times are UTC. `wallets`, `transactions` and `entries`
are written by `core.ledger` alone. The triggers that make entries and finished transactions
append-only live in the migrations, since models cannot express them.
"""

from datetime import datetime
from typing import Any, ClassVar, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from db.columns import NEVER_REUSE_IDS, BigId, UtcDateTime, column, key, reference, where
from db.payment_models import ProviderPayment
from db.person_models import ApiKey, GoogleIdentity, Installation, RefreshToken, SignIn, User

__all__ = (
    "ApiKey",
    "Asset",
    "CreditHolder",
    "Entry",
    "GoogleIdentity",
    "IdempotencyKey",
    "Installation",
    "OutboxItem",
    "ProviderPayment",
    "RefreshToken",
    "SignIn",
    "Tables",
    "Transaction",
    "User",
    "Wallet",
    "table",
)

# The same ceiling as `core.money.MAX_MINOR`, which a test compares: `db` cannot import `core`.
MAX_MINOR = 999_999_999_999_999


class Asset(SQLModel, table=True):
    """What accounts hold: a currency of ISO 4217, or credits of the house. Only ever added.

    `scale` is how many decimals an amount has. What is not `transferable` does not move between
    accounts of two holders; what is not `withdrawable` neither comes from nor goes to the outside.
    """

    __tablename__ = "assets"
    __table_args__ = (
        CheckConstraint("kind IN ('currency', 'credit')", name="kind"),
        CheckConstraint("length(code) BETWEEN 2 AND 8 AND code = upper(code)", name="code"),
        CheckConstraint("scale BETWEEN 0 AND 8", name="scale"),
    )

    id: int = Field(sa_type=cast(Any, BigId), primary_key=True)
    code: str = column(String(8), unique=True)
    name: str = column(String(100))
    scale: int = column(SmallInteger)
    kind: str = column(String(8))
    transferable: bool
    withdrawable: bool


class CreditHolder(SQLModel, table=True):
    """Somebody who holds credits, under the name that a service has for them. Never changes."""

    __tablename__ = "credit_holders"
    __table_args__ = (NEVER_REUSE_IDS,)

    id: int = key()
    external_user_id: str = column(String(128), unique=True)
    created_at: datetime = column(UtcDateTime)


# Each wallet is a person's, a holder's or the house's.
_ONE_OWNER = (
    "CASE WHEN user_id IS NULL THEN 0 ELSE 1 END + CASE WHEN holder_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN system_role IS NULL THEN 0 ELSE 1 END = 1"
)


class Wallet(SQLModel, table=True):
    """An account in one asset: of a person, of a holder of credits, or of the house.

    A person's `is_primary` wallet is the one that calls without an account number are about.
    """

    __tablename__ = "wallets"
    __table_args__ = (
        CheckConstraint("balance_minor >= 0 OR may_go_negative", name="balance_not_negative"),
        CheckConstraint(f"balance_minor <= {MAX_MINOR}", name="balance_limit"),
        CheckConstraint("closed_at IS NULL OR balance_minor = 0", name="closed_empty"),
        CheckConstraint(_ONE_OWNER, name="one_owner"),
        CheckConstraint("NOT is_primary OR user_id IS NOT NULL", name="primary_of_person"),
        CheckConstraint("system_role IN ('treasury', 'in_transit')", name="system_role"),
        # One open primary wallet per person, ...
        Index(
            "uq_wallets_primary_user_id",
            "user_id",
            unique=True,
            **where("is_primary AND closed_at IS NULL"),
        ),
        # ... one account per holder and asset, ...
        Index(
            "uq_wallets_holder_id_currency",
            "holder_id",
            "currency",
            unique=True,
            **where("holder_id IS NOT NULL"),
        ),
        # ... and one open account per role of the house and asset.
        Index(
            "uq_wallets_open_system_role_currency",
            "system_role",
            "currency",
            unique=True,
            **where("system_role IS NOT NULL AND closed_at IS NULL"),
        ),
        Index("ix_wallets_user_id", "user_id"),
        NEVER_REUSE_IDS,
    )

    id: int = key()
    user_id: int | None = reference("users.id", nullable=True)
    wallet_number: str = column(String(12), unique=True)
    currency: str = Field(sa_type=cast(Any, String(8)), foreign_key="assets.code")
    balance_minor: int = column(BigInteger)
    may_go_negative: bool = False
    created_at: datetime = column(UtcDateTime)
    updated_at: datetime = column(UtcDateTime)
    frozen_at: datetime | None = column(UtcDateTime, default=None)
    closed_at: datetime | None = column(UtcDateTime, default=None)
    is_primary: bool = False
    holder_id: int | None = reference("credit_holders.id", nullable=True)
    system_role: str | None = column(String(16), default=None)
    name: str | None = column(String(100), default=None)


class Transaction(SQLModel, table=True):
    """One attempt to move money: of `wallet_id`, with another wallet or the outside world."""

    __tablename__ = "transactions"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"amount_minor <= {MAX_MINOR}", name="amount_limit"),
        CheckConstraint(
            "type IN ('deposit', 'withdrawal', 'transfer', 'top_up', 'bonus', 'spend',"
            " 'payout', 'payout_settled', 'payout_returned', 'payout_reversed')",
            name="type",
        ),
        CheckConstraint("state IN ('PROCESSING', 'SUCCESS', 'FAILED')", name="state"),
        CheckConstraint("(state = 'FAILED') = (failure_code IS NOT NULL)", name="failed_with_code"),
        # What the entries' foreign key points to: see Entry.
        UniqueConstraint("id", "amount_minor", "currency"),
        Index("ix_transactions_wallet_id_id", "wallet_id", "id"),
        Index(
            "ix_transactions_counterparty_wallet_id_id",
            "counterparty_wallet_id",
            "id",
            **where("counterparty_wallet_id IS NOT NULL"),
        ),
        # Whoever looks for a deposit among a million transfers need not read those.
        Index(
            "ix_transactions_wallet_id_type_id",
            "wallet_id",
            "type",
            "id",
            **where("type != 'transfer'"),
        ),
        NEVER_REUSE_IDS,
    )

    id: int = key()
    type: str = column(String(16))
    state: str = column(String(10))
    failure_code: str | None = column(String(64), default=None)
    wallet_id: int = reference("wallets.id")
    counterparty_wallet_id: int | None = reference("wallets.id", nullable=True)
    amount_minor: int = column(BigInteger)
    currency: str = column(String(8))
    created_at: datetime = column(UtcDateTime)
    description: str | None = column(String(255), default=None)


class Entry(SQLModel, table=True):
    """One side of a transaction; `wallet_id` null is the outside world, whose balance nobody keeps.

    The foreign key takes amount and currency along, so the database itself refuses an entry that
    differs from its transaction, and therefore two entries that differ from each other.
    """

    __tablename__ = "entries"
    __table_args__ = (
        CheckConstraint("entry_type IN ('DEBIT', 'CREDIT')", name="entry_type"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(
            "(wallet_id IS NULL) = (balance_snapshot_minor IS NULL)", name="snapshot_of_wallet"
        ),
        UniqueConstraint("transaction_id", "entry_type"),
        ForeignKeyConstraint(
            ["transaction_id", "amount_minor", "currency"],
            ["transactions.id", "transactions.amount_minor", "transactions.currency"],
            name="fk_entries_transaction",
        ),
        Index("ix_entries_wallet_id_id", "wallet_id", "id"),
        NEVER_REUSE_IDS,
    )

    id: int = key()
    transaction_id: int = column(BigId)
    wallet_id: int | None = reference("wallets.id", nullable=True)
    entry_type: str = column(String(6))
    amount_minor: int = column(BigInteger)
    currency: str = column(String(8))
    balance_snapshot_minor: int | None = column(BigInteger, default=None)
    created_at: datetime = column(UtcDateTime)


class IdempotencyKey(SQLModel, table=True):
    """The first answer to a key of a principal, for ever; written with what it did.

    The principal is a person, or 0: the house. Neither this nor the transaction is a reference:
    they are written together, and `./wallet verify` looks after them.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (CheckConstraint("length(fingerprint) = 32", name="fingerprint_sha256"),)

    principal_id: int = Field(sa_type=cast(Any, BigId), primary_key=True)
    key: str = column(String(255), primary_key=True)
    fingerprint: bytes = column(LargeBinary(32))
    status: int = column(SmallInteger)
    body: str = column(Text)
    transaction_id: int | None = column(BigId, default=None)
    replays: int = column(Integer, default=0)
    created_at: datetime = column(UtcDateTime)


class OutboxItem(SQLModel, table=True):
    """One receipt that must be sent; written with the money, done when the worker has sent it.

    Nobody looks at it before `due_at`: handing it over puts that off, and so does a failure.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("transaction_id", "user_id"),
        CheckConstraint("done_at IS NULL OR dead_at IS NULL", name="done_or_dead"),
        Index("ix_outbox_open_due_at", "due_at", **where("done_at IS NULL AND dead_at IS NULL")),
        # Those that were given up are few among all that were ever sent.
        Index("ix_outbox_dead_at", "dead_at", **where("dead_at IS NOT NULL")),
        NEVER_REUSE_IDS,
    )

    id: int = key()
    # Not references: written with the transaction, and `./wallet verify` looks after them.
    transaction_id: int = column(BigId)
    user_id: int = column(BigId)
    created_at: datetime = column(UtcDateTime)
    due_at: datetime = column(UtcDateTime)
    attempts: int = column(Integer, default=0)
    last_error: str | None = column(String(200), default=None)
    done_at: datetime | None = column(UtcDateTime, default=None)
    dead_at: datetime | None = column(UtcDateTime, default=None)


def table(model: type[SQLModel]) -> Table:
    """Return the Core table of a model, for statements over many rows."""
    return cast(Table, cast(Any, model).__table__)


class Tables:
    """The Core tables, by their names."""

    users: ClassVar[Table] = table(User)
    sign_ins: ClassVar[Table] = table(SignIn)
    refresh_tokens: ClassVar[Table] = table(RefreshToken)
    api_keys: ClassVar[Table] = table(ApiKey)
    google_identities: ClassVar[Table] = table(GoogleIdentity)
    assets: ClassVar[Table] = table(Asset)
    credit_holders: ClassVar[Table] = table(CreditHolder)
    wallets: ClassVar[Table] = table(Wallet)
    transactions: ClassVar[Table] = table(Transaction)
    entries: ClassVar[Table] = table(Entry)
    idempotency_keys: ClassVar[Table] = table(IdempotencyKey)
    outbox: ClassVar[Table] = table(OutboxItem)
    provider_payments: ClassVar[Table] = table(ProviderPayment)
