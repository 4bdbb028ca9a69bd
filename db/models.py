"""The tables and every constraint on them; the migrations are checked against this module.

Amounts are BIGINT counts of minor units. Times are UTC. `wallets`, `transactions` and `entries`
are written by `core.ledger` alone. The triggers that make entries and finished transactions
append-only live in the migrations, since models cannot express them.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

# The same ceiling as `core.money.MAX_MINOR`, which a test compares: `db` cannot import `core`.
MAX_MINOR = 999_999_999_999_999

# SQLite gives only a column of type INTEGER its own row id.
BigId = BigInteger().with_variant(Integer(), "sqlite")

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on both engines; SQLite stores it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What its values are."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; SQLite gets UTC without the zone it cannot store."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time needs its zone.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - the signature is SQLAlchemy's
    ) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _key(**kwargs: Any) -> Any:
    return Field(default=None, primary_key=True, sa_type=cast(Any, BigId), **kwargs)


def _reference(target: str, **kwargs: Any) -> Any:
    return Field(sa_type=cast(Any, BigId), foreign_key=target, **kwargs)


def _column(sa_type: Any, **kwargs: Any) -> Any:
    return Field(sa_type=sa_type, **kwargs)


def _where(condition: str) -> dict[str, Any]:
    """Make an index one of the rows that fulfil a condition."""
    return {"postgresql_where": text(condition), "sqlite_where": text(condition)}


# AUTOINCREMENT: without it SQLite would hand out the id of a deleted last row again.
_NEVER_REUSE_IDS = {"sqlite_autoincrement": True}


class Installation(SQLModel, table=True):
    """One row, drawn when the schema was made: tells this database from every other one."""

    __tablename__ = "installations"

    id: str = _column(String(32), primary_key=True)


class User(SQLModel, table=True):
    """A person. `email_folded` makes the address unique without regard to case."""

    __tablename__ = "users"
    __table_args__ = (_NEVER_REUSE_IDS,)

    id: int = _key()
    first_name: str = _column(String(100))
    last_name: str = _column(String(100))
    email: str = _column(String(320))
    email_folded: str = _column(String(320), unique=True)
    password_hash: str = _column(String(255))
    created_at: datetime = _column(UtcDateTime)


class SignIn(SQLModel, table=True):
    """One sign-in: the family of all tokens that descend from it; ended as a whole."""

    __tablename__ = "sign_ins"
    __table_args__ = (_NEVER_REUSE_IDS,)

    id: int = _key()
    user_id: int = _reference("users.id", index=True)
    created_at: datetime = _column(UtcDateTime)
    ended_at: datetime | None = _column(UtcDateTime, default=None)


class RefreshToken(SQLModel, table=True):
    """A refresh token by its SHA-256; used once, then only proof of theft."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (_NEVER_REUSE_IDS,)

    id: int = _key()
    sign_in_id: int = _reference("sign_ins.id", index=True)
    token_sha256: bytes = _column(LargeBinary(32), unique=True)
    expires_at: datetime = _column(UtcDateTime)
    used_at: datetime | None = _column(UtcDateTime, default=None)


class Wallet(SQLModel, table=True):
    """An account in one currency. Without `user_id` it belongs to the house (a system account)."""

    __tablename__ = "wallets"
    __table_args__ = (
        CheckConstraint("balance_minor >= 0 OR may_go_negative", name="balance_not_negative"),
        CheckConstraint(f"balance_minor <= {MAX_MINOR}", name="balance_limit"),
        CheckConstraint("closed_at IS NULL OR balance_minor = 0", name="closed_empty"),
        # One open wallet per person.
        Index("uq_wallets_open_user_id", "user_id", unique=True, **_where("closed_at IS NULL")),
        Index("ix_wallets_user_id", "user_id"),
        _NEVER_REUSE_IDS,
    )

    id: int = _key()
    user_id: int | None = _reference("users.id", nullable=True)
    wallet_number: str = _column(String(12), unique=True)
    currency: str = _column(String(8))
    balance_minor: int = _column(BigInteger)
    may_go_negative: bool = False
    created_at: datetime = _column(UtcDateTime)
    updated_at: datetime = _column(UtcDateTime)
    frozen_at: datetime | None = _column(UtcDateTime, default=None)
    closed_at: datetime | None = _column(UtcDateTime, default=None)


class Transaction(SQLModel, table=True):
    """One attempt to move money: of `wallet_id`, with another wallet or the outside world."""

    __tablename__ = "transactions"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint(f"amount_minor <= {MAX_MINOR}", name="amount_limit"),
        CheckConstraint("type IN ('deposit', 'withdrawal', 'transfer')", name="type"),
        CheckConstraint("state IN ('PROCESSING', 'SUCCESS', 'FAILED')", name="state"),
        CheckConstraint("(state = 'FAILED') = (failure_code IS NOT NULL)", name="failed_with_code"),
        # What the entries' foreign key points to: see Entry.
        UniqueConstraint("id", "amount_minor", "currency"),
        Index("ix_transactions_wallet_id_id", "wallet_id", "id"),
        Index(
            "ix_transactions_counterparty_wallet_id_id",
            "counterparty_wallet_id",
            "id",
            **_where("counterparty_wallet_id IS NOT NULL"),
        ),
        _NEVER_REUSE_IDS,
    )

    id: int = _key()
    type: str = _column(String(16))
    state: str = _column(String(10))
    failure_code: str | None = _column(String(64), default=None)
    wallet_id: int = _reference("wallets.id")
    counterparty_wallet_id: int | None = _reference("wallets.id", nullable=True)
    amount_minor: int = _column(BigInteger)
    currency: str = _column(String(8))
    created_at: datetime = _column(UtcDateTime)


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
        _NEVER_REUSE_IDS,
    )

    id: int = _key()
    transaction_id: int = _column(BigId)
    wallet_id: int | None = _reference("wallets.id", nullable=True)
    entry_type: str = _column(String(6))
    amount_minor: int = _column(BigInteger)
    currency: str = _column(String(8))
    balance_snapshot_minor: int | None = _column(BigInteger, default=None)
    created_at: datetime = _column(UtcDateTime)


class IdempotencyKey(SQLModel, table=True):
    """The first answer to a key of a principal, for ever; written with what it did."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (CheckConstraint("length(fingerprint) = 32", name="fingerprint_sha256"),)

    principal_id: int = Field(sa_type=cast(Any, BigId), primary_key=True, foreign_key="users.id")
    key: str = _column(String(255), primary_key=True)
    fingerprint: bytes = _column(LargeBinary(32))
    status: int = _column(SmallInteger)
    body: str = _column(Text)
    transaction_id: int | None = _reference("transactions.id", nullable=True)
    replays: int = _column(Integer, default=0)
    created_at: datetime = _column(UtcDateTime)


class OutboxItem(SQLModel, table=True):
    """One receipt that must be sent; written with the money, done when the worker has sent it.

    Nobody looks at it before `due_at`: handing it over puts that off, and so does a failure.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("transaction_id", "user_id"),
        CheckConstraint("done_at IS NULL OR dead_at IS NULL", name="done_or_dead"),
        Index("ix_outbox_open_due_at", "due_at", **_where("done_at IS NULL AND dead_at IS NULL")),
        # Those that were given up are few among all that were ever sent.
        Index("ix_outbox_dead_at", "dead_at", **_where("dead_at IS NOT NULL")),
        _NEVER_REUSE_IDS,
    )

    id: int = _key()
    # Not references: written with the transaction, and `./wallet verify` looks after them.
    transaction_id: int = _column(BigId)
    user_id: int = _column(BigId)
    created_at: datetime = _column(UtcDateTime)
    due_at: datetime = _column(UtcDateTime)
    attempts: int = _column(Integer, default=0)
    last_error: str | None = _column(String(200), default=None)
    done_at: datetime | None = _column(UtcDateTime, default=None)
    dead_at: datetime | None = _column(UtcDateTime, default=None)


def table(model: type[SQLModel]) -> Table:
    """Return the Core table of a model, for statements over many rows."""
    return cast(Table, cast(Any, model).__table__)


class Tables:
    """The Core tables, by their names."""

    users: ClassVar[Table] = table(User)
    sign_ins: ClassVar[Table] = table(SignIn)
    refresh_tokens: ClassVar[Table] = table(RefreshToken)
    wallets: ClassVar[Table] = table(Wallet)
    transactions: ClassVar[Table] = table(Transaction)
    entries: ClassVar[Table] = table(Entry)
    idempotency_keys: ClassVar[Table] = table(IdempotencyKey)
    outbox: ClassVar[Table] = table(OutboxItem)
