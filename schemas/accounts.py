"""Shapes of accounts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from core.accounts import AccountEntry, OwnAccount
from core.commands import Opened, TransactionType
from core.history import EntryType
from core.money import Money, to_wire
from core.public_ids import Kind, make_public_id
from schemas.strict import AccountNumberText, Currency, QueryTime, StrictModel, visible
from schemas.wallets import Amount

AccountId = Annotated[UUID, Field(examples=["019c13ec-9e00-7000-8000-000000000001"])]
EntryId = Annotated[UUID, Field(examples=["019c13ec-9e00-7000-a000-000000000001"])]
TransferId = Annotated[UUID, Field(examples=["019c13ec-9e00-7000-9000-000000000001"])]
AccountName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(visible),
]
Description = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255),
    AfterValidator(visible),
]


class OpenAccountIn(StrictModel):
    """The account to open."""

    currency: Currency
    name: Annotated[
        AccountName | None,
        Field(description="What you call it, for yourself alone.", examples=["Savings"]),
    ] = None


class AccountOut(BaseModel):
    """An account as its owner sees it."""

    id: AccountId
    account_number: AccountNumberText
    currency: str
    name: Annotated[str | None, Field(examples=["Savings"])]
    is_primary: Annotated[bool, Field(description="Whether it is the one of `GET /wallet`.")]
    balance: Amount
    created_at: datetime
    closed_at: Annotated[datetime | None, Field(description="Null while open.", examples=[None])]

    @classmethod
    def of_opened(cls, opened: Opened, name: str | None) -> "AccountOut":
        """Show an account that was just opened beside the primary one."""
        return cls.model_construct(
            id=make_public_id(Kind.ACCOUNT, opened.wallet_id, opened.created_at),
            account_number=opened.wallet_number,
            currency=opened.balance.currency,
            name=name,
            is_primary=False,
            balance=to_wire(opened.balance.minor, opened.balance.currency),
            created_at=opened.created_at,
            closed_at=None,
        )

    @classmethod
    def of_owner(cls, account: OwnAccount) -> "AccountOut":
        """Show an account to its owner."""
        return cls.model_construct(
            id=make_public_id(Kind.ACCOUNT, account.id, account.created_at),
            account_number=account.number,
            currency=account.balance.currency,
            name=account.name,
            is_primary=account.is_primary,
            balance=to_wire(account.balance.minor, account.balance.currency),
            created_at=account.created_at,
            closed_at=account.closed_at,
        )


class AccountsOut(BaseModel):
    """A page of one's open accounts, newest first."""

    accounts: list[AccountOut]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Field(description="Null at the end.")]


class BalanceQuery(StrictModel):
    """When the balance is asked for."""

    model_config = ConfigDict(strict=False)

    at: Annotated[
        QueryTime | SkipJsonSchema[None],
        Field(description="At this time (RFC 3339); now, if it is not given."),
    ] = None


class AccountBalanceOut(BaseModel):
    """What an account holds, or held."""

    account_number: AccountNumberText
    balance: Amount
    currency: str
    at: datetime

    @classmethod
    def of(cls, account: OwnAccount, balance: Money, at: datetime) -> "AccountBalanceOut":
        """Show a balance to its owner."""
        return cls.model_construct(
            account_number=account.number,
            balance=to_wire(balance.minor, balance.currency),
            currency=balance.currency,
            at=at,
        )


class AccountEntryOut(BaseModel):
    """One debit or credit of an account, and the balance right after it."""

    id: EntryId
    type: TransactionType
    entry_type: EntryType
    amount: Amount
    currency: str
    balance: Amount
    transfer_id: Annotated[TransferId | None, Field(description="Null if it is of no transfer.")]
    description: Annotated[str | None, Field(examples=["Rent"])]
    created_at: datetime

    @classmethod
    def of(cls, entry: AccountEntry) -> "AccountEntryOut":
        """Show an entry to the account's owner."""
        currency = entry.money.currency
        transfer_id = make_public_id(Kind.TRANSFER, entry.transaction_id, entry.transaction_at)
        return cls.model_construct(
            id=make_public_id(Kind.ENTRY, entry.id, entry.created_at),
            type=entry.type,
            entry_type=entry.entry_type,
            amount=to_wire(entry.money.minor, currency),
            currency=currency,
            balance=to_wire(entry.balance.minor, currency),
            transfer_id=transfer_id if entry.type == "transfer" else None,
            description=entry.description,
            created_at=entry.created_at,
        )


class AccountLedgerOut(BaseModel):
    """A page of an account's entries, newest first."""

    entries: list[AccountEntryOut]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Field(description="Null at the end.")]
