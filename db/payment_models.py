"""The table of payments that a provider takes in or pays out; part of `db.models`."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, UniqueConstraint
from sqlmodel import SQLModel

from db.columns import NEVER_REUSE_IDS, UtcDateTime, column, key, where
from db.columns import reference as id_of


class ProviderPayment(SQLModel, table=True):
    """A deposit or payout by a provider, from before the provider is asked until it ends.

    `reference` is ours. `transaction_id` is what it began with; a payout ends with another one, and
    with a third if it comes back after that. Nobody asks the provider before `due_at` but whoever
    put that off. `declined_at` is since when the provider says that a card was declined.

    `attention` is what an operator has to look into, until `attended_at`.
    """

    __tablename__ = "provider_payments"
    __table_args__ = (
        CheckConstraint("kind IN ('deposit', 'payout')", name="kind"),
        CheckConstraint("state IN ('PROCESSING', 'SUCCESS', 'FAILED')", name="state"),
        CheckConstraint("(state = 'FAILED') = (failure_code IS NOT NULL)", name="failed_with_code"),
        CheckConstraint("(state = 'PROCESSING') = (ended_at IS NULL)", name="ended_with_time"),
        CheckConstraint(
            "(closing_transaction_id IS NOT NULL) = (kind = 'payout' AND state <> 'PROCESSING')",
            name="payout_closed",
        ),
        CheckConstraint(
            "reversing_transaction_id IS NULL OR (kind = 'payout' AND state = 'SUCCESS')",
            name="reversed_after_success",
        ),
        CheckConstraint(
            "(kind = 'payout') = (bank_code IS NOT NULL AND account_number IS NOT NULL)",
            name="payout_to_bank",
        ),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        UniqueConstraint("transaction_id"),
        UniqueConstraint("closing_transaction_id"),
        UniqueConstraint("reversing_transaction_id"),
        Index("ix_provider_payments_due_at", "due_at", **where("state = 'PROCESSING'")),
        Index("ix_provider_payments_pending", "wallet_id", **where("state = 'PROCESSING'")),
        Index(
            "ix_provider_payments_attention",
            "id",
            **where("attention IS NOT NULL AND attended_at IS NULL"),
        ),
        NEVER_REUSE_IDS,
    )

    id: int = key()
    reference: str = column(String(50), unique=True)
    kind: str = column(String(8))
    transaction_id: int = id_of("transactions.id")
    wallet_id: int = id_of("wallets.id")
    amount_minor: int = column(BigInteger)
    currency: str = column(String(8))
    bank_code: str | None = column(String(20), default=None)
    account_number: str | None = column(String(20), default=None)
    state: str = column(String(10))
    failure_code: str | None = column(String(64), default=None)
    closing_transaction_id: int | None = id_of("transactions.id", nullable=True)
    reversing_transaction_id: int | None = id_of("transactions.id", nullable=True)
    authorization_url: str | None = column(String(500), default=None)
    access_code: str | None = column(String(100), default=None)
    recipient_code: str | None = column(String(100), default=None)
    provider_status: str | None = column(String(32), default=None)
    asked_at: datetime | None = column(UtcDateTime, default=None)
    declined_at: datetime | None = column(UtcDateTime, default=None)
    attention: str | None = column(String(64), default=None)
    attended_at: datetime | None = column(UtcDateTime, default=None)
    attention_note: str | None = column(String(200), default=None)
    attempts: int = column(Integer, default=0)
    created_at: datetime = column(UtcDateTime)
    due_at: datetime = column(UtcDateTime)
    ended_at: datetime | None = column(UtcDateTime, default=None)
