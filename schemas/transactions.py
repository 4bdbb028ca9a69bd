"""Shapes of movements, history and entries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from core.commands import Moved, TransactionType
from core.history import EntryType, EntryView, HistoryItem, HistoryPage, TransactionState
from core.money import to_wire
from schemas.paging import PageQuery
from schemas.strict import Id, MoneyIn, QueryTime
from schemas.wallets import Amount


class TransferIn(MoneyIn):
    """Where to and how much; `to_account_id` is the receiving wallet's id."""

    to_account_id: Id


class MovementOut(BaseModel):
    """A deposit or withdrawal that was made."""

    wallet_id: int
    amount: Amount
    current_balance: Amount
    transaction_id: int

    @classmethod
    def of(cls, moved: Moved) -> "MovementOut":
        """Tell the person whose money moved."""
        currency = moved.money.currency
        return cls(
            wallet_id=moved.wallet_id,
            amount=to_wire(moved.money.minor, currency),
            current_balance=to_wire(moved.balance_minor, currency),
            transaction_id=moved.transaction_id,
        )


class TransferOut(BaseModel):
    """A transfer that was made; the balance is the sender's."""

    wallet_id: int
    recipient_wallet_id: int
    amount: Amount
    current_balance: Amount
    transaction_id: int

    @classmethod
    def of(cls, moved: Moved) -> "TransferOut":
        """Tell the sender."""
        currency = moved.money.currency
        return cls(
            wallet_id=moved.wallet_id,
            recipient_wallet_id=moved.counterparty_wallet_id or 0,
            amount=to_wire(moved.money.minor, currency),
            current_balance=to_wire(moved.balance_minor, currency),
            transaction_id=moved.transaction_id,
        )


class HistoryQuery(PageQuery):
    """Which part of the history."""

    type: Annotated[
        TransactionType | SkipJsonSchema[None], Field(description="Only this type.")
    ] = None
    since: Annotated[
        QueryTime | SkipJsonSchema[None],
        Field(alias="from", description="Not before this time (RFC 3339)."),
    ] = None
    until: Annotated[
        QueryTime | SkipJsonSchema[None],
        Field(alias="to", description="Not after this time (RFC 3339)."),
    ] = None

    def page(self) -> HistoryPage:
        """Say the same to the core."""
        return HistoryPage(
            limit=self.limit,
            offset=self.offset,
            cursor=self.cursor,
            type=self.type,
            since=self.since,
            until=self.until,
        )


class TransactionOut(BaseModel):
    """One transaction; sender and receiver are names, or the outside world."""

    id: int
    amount: Amount
    currency: str
    type: TransactionType
    date: datetime
    sender: Annotated[str, Field(examples=["External Source"])]
    receiver: Annotated[str, Field(examples=["Jane Doe"])]
    state: TransactionState

    @classmethod
    def of(cls, item: HistoryItem) -> "TransactionOut":
        """Show one line of a history."""
        return cls(
            id=item.id,
            amount=to_wire(item.money.minor, item.money.currency),
            currency=item.money.currency,
            type=item.type,
            date=item.date,
            sender=item.sender,
            receiver=item.receiver,
            state=item.state,
        )


class HistoryOut(BaseModel):
    """A page of a history, newest first."""

    transactions: list[TransactionOut]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Field(description="Null at the end.")]

    @classmethod
    def of(
        cls, items: Sequence[HistoryItem], query: HistoryQuery, next_cursor: str | None
    ) -> "HistoryOut":
        """Show the page that `query` asked for."""
        return cls(
            transactions=[TransactionOut.of(item) for item in items],
            limit=query.limit,
            offset=query.offset,
            next_cursor=next_cursor,
        )


class EntryOut(BaseModel):
    """One side of a transaction. A null `wallet_id` is the outside world; the other party's
    `balance_snapshot` is null.
    """

    id: int
    transaction_id: int
    wallet_id: int | None
    entry_type: EntryType
    amount: Amount
    currency: str
    balance_snapshot: Amount | None
    created_at: datetime

    @classmethod
    def of(cls, entry: EntryView) -> "EntryOut":
        """Show one entry to a party of its transaction."""
        currency = entry.money.currency
        shown = entry.balance_minor
        return cls(
            id=entry.id,
            transaction_id=entry.transaction_id,
            wallet_id=entry.wallet_id,
            entry_type=entry.entry_type,
            amount=to_wire(entry.money.minor, currency),
            currency=currency,
            balance_snapshot=None if shown is None else to_wire(shown, currency),
            created_at=entry.created_at,
        )
