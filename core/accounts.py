"""A person's accounts: looking at them, at their balance at any time, and at their entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Select, bindparam, select

from core.account_errors import AccountNotFound
from core.commands import TransactionType
from core.history import EntryType
from core.money import Money
from core.paging import ACCOUNTS, ENTRIES, Slice, newest, read_page
from core.times import last_entries
from db.columns import UtcDateTime
from db.lean import LeanConnection
from db.models import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAccount:
    """A person's account as they see it; a closed one has the time it was closed at."""

    id: int
    number: str
    name: str | None
    is_primary: bool
    balance: Money
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One debit or credit of an account, with the balance right after it."""

    id: int
    transaction_id: int
    type: TransactionType
    entry_type: EntryType
    money: Money
    balance: Money
    description: str | None
    created_at: datetime
    # When the transaction was made: the entry may be of a later time.
    transaction_at: datetime


async def list_accounts(
    connection: LeanConnection, user_id: int, part: Slice
) -> tuple[list[OwnAccount], str | None]:
    """Return a page of the person's open accounts, newest first, and the next cursor.

    Raises InvalidCursor.
    """
    rows, next_cursor = await read_page(
        connection, _OPEN_ACCOUNTS, {"user_id": user_id}, part, ACCOUNTS
    )
    return [_own_account(row) for row in rows], next_cursor


async def find_account(connection: LeanConnection, user_id: int, number: str) -> OwnAccount:
    """Return an account of the person, open or closed. Raises AccountNotFound."""
    rows = await connection.select(_ACCOUNT, {"user_id": user_id, "number": number})
    if not rows:
        raise AccountNotFound
    return _own_account(rows[0])


async def read_balance_at(connection: LeanConnection, account: OwnAccount, at: datetime) -> Money:
    """Return what the account held at a time: 0 before its first entry."""
    rows = await connection.select(_BALANCE_AT, {"wallet_id": account.id, "at": at})
    return Money(rows[0][0] if rows else 0, account.balance.currency)


async def read_account_entries(
    connection: LeanConnection, account: OwnAccount, part: Slice
) -> tuple[list[AccountEntry], str | None]:
    """Return a page of the account's entries, newest first, and the next cursor.

    Raises InvalidCursor.
    """
    rows, next_cursor = await read_page(
        connection, _ENTRIES, {"wallet_id": account.id}, part, ENTRIES
    )
    return [_account_entry(row) for row in rows], next_cursor


def _of_owner(wallets: Any) -> Select[Any]:
    """Select a person's accounts as they see them."""
    return select(
        wallets.id,
        wallets.wallet_number,
        wallets.name,
        wallets.is_primary,
        wallets.balance_minor,
        wallets.currency,
        wallets.created_at,
        wallets.closed_at,
    ).where(wallets.user_id == bindparam("user_id"))


def _entries_of_account(entries: Any, transactions: Any) -> Select[Any]:
    statement = (
        select(
            entries.id,
            entries.transaction_id,
            transactions.type,
            entries.entry_type,
            entries.amount_minor,
            entries.balance_snapshot_minor,
            entries.currency,
            transactions.description,
            entries.created_at,
            transactions.created_at,
        )
        .join(Tables.transactions, transactions.id == entries.transaction_id)
        .where(entries.wallet_id == bindparam("wallet_id"))
    )
    return newest(statement, entries.id)


_ACCOUNT: Final = _of_owner(Tables.wallets.c).where(
    Tables.wallets.c.wallet_number == bindparam("number")
)
_OPEN_ACCOUNTS: Final = newest(
    _of_owner(Tables.wallets.c).where(Tables.wallets.c.closed_at.is_(None)), Tables.wallets.c.id
)
_ENTRIES: Final = _entries_of_account(Tables.entries.c, Tables.transactions.c)


def _balance_at() -> Select[Any]:
    """Select the balance after the last entry at a time."""
    account = select(bindparam("wallet_id", type_=BigInteger).label("id")).subquery()
    last = last_entries(account, bindparam("at", type_=UtcDateTime))
    entries = Tables.entries.c
    return select(entries.balance_snapshot_minor).join(last, last.c.entry_id == entries.id)


_BALANCE_AT: Final = _balance_at()


def _own_account(row: Sequence[Any]) -> OwnAccount:
    id_, number, name, is_primary, balance_minor, currency, created_at, closed_at = row
    return OwnAccount(
        id=id_,
        number=number,
        name=name,
        is_primary=is_primary,
        balance=Money(balance_minor, currency),
        created_at=created_at,
        closed_at=closed_at,
    )


def _account_entry(row: Sequence[Any]) -> AccountEntry:
    id_, transaction_id, type_, entry_type, minor, balance_minor, currency, *rest = row
    description, created_at, transaction_at = rest
    return AccountEntry(
        id=id_,
        transaction_id=transaction_id,
        type=type_,
        entry_type=entry_type,
        money=Money(minor, currency),
        balance=Money(balance_minor, currency),
        description=description,
        created_at=created_at,
        transaction_at=transaction_at,
    )
