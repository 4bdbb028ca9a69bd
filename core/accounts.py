"""A person's accounts: looking at them, at their balance at any time, and at their entries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select, text
from sqlmodel.ext.asyncio.session import AsyncSession

from core.account_errors import AccountNotFound
from core.commands import TransactionType
from core.history import EntryType
from core.money import Money
from core.paging import ACCOUNTS, ENTRIES, Slice, read_page
from db.columns import UtcDateTime
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
    session: AsyncSession, user_id: int, part: Slice
) -> tuple[list[OwnAccount], str | None]:
    """Return a page of the person's open accounts, newest first, and the next cursor.

    Raises InvalidCursor.
    """
    wallets = Tables.wallets.c
    statement = select(Tables.wallets).where(
        wallets.user_id == user_id, wallets.closed_at.is_(None)
    )
    rows, next_cursor = await read_page(session, statement, wallets.id, part, ACCOUNTS)
    return [_own_account(row) for row in rows], next_cursor


async def find_account(session: AsyncSession, user_id: int, number: str) -> OwnAccount:
    """Return an account of the person, open or closed. Raises AccountNotFound."""
    wallets = Tables.wallets.c
    connection = await session.connection()
    rows = await connection.execute(
        select(Tables.wallets).where(wallets.wallet_number == number, wallets.user_id == user_id)
    )
    row = rows.first()
    if row is None:
        raise AccountNotFound
    return _own_account(row)


async def read_balance_at(session: AsyncSession, account: OwnAccount, at: datetime) -> Money:
    """Return what the account held at a time: 0 before its first entry."""
    connection = await session.connection()
    found = await connection.execute(_BALANCE_AT, {"wallet_id": account.id, "at": at})
    return Money(found.scalar() or 0, account.balance.currency)


async def read_account_entries(
    session: AsyncSession, account: OwnAccount, part: Slice
) -> tuple[list[AccountEntry], str | None]:
    """Return a page of the account's entries, newest first, and the next cursor.

    Raises InvalidCursor.
    """
    entries, transactions = Tables.entries.c, Tables.transactions.c
    statement = (
        select(
            Tables.entries,
            transactions.type,
            transactions.description,
            transactions.created_at.label("transaction_at"),
        )
        .join(Tables.transactions, transactions.id == entries.transaction_id)
        .where(entries.wallet_id == account.id)
    )
    rows, next_cursor = await read_page(session, statement, entries.id, part, ENTRIES)
    return [_account_entry(row) for row in rows], next_cursor


# Entries of a wallet have ids and times that never decrease, so the last one at a time is found by
# halving the ids, each step one look into the index of (wallet, id): some thirty for a thousand
# million entries, at any time in the past. `low` is the last entry known to be early enough; none
# beyond `high` is.
_BALANCE_AT: Final = text(
    """
    WITH RECURSIVE search (low, high) AS (
        SELECT CAST(0 AS BIGINT), COALESCE(
            (SELECT MAX(id) FROM entries WHERE wallet_id = :wallet_id), 0)
        UNION ALL
        SELECT CASE WHEN probe.created_at <= :at THEN probe.id ELSE low END,
            CASE WHEN probe.created_at <= :at THEN high ELSE (low + high) / 2 END
        FROM search LEFT JOIN entries AS probe ON probe.id = (
            SELECT next.id FROM entries AS next
            WHERE next.wallet_id = :wallet_id AND next.id > (search.low + search.high) / 2
            ORDER BY next.id LIMIT 1)
        WHERE low < high
    )
    SELECT balance_snapshot_minor FROM entries WHERE id = (SELECT MAX(low) FROM search)
    """
).bindparams(bindparam("at", type_=UtcDateTime))


def _own_account(row: Any) -> OwnAccount:
    return OwnAccount(
        id=row.id,
        number=row.wallet_number,
        name=row.name,
        is_primary=row.is_primary,
        balance=Money(row.balance_minor, row.currency),
        created_at=row.created_at,
        closed_at=row.closed_at,
    )


def _account_entry(row: Any) -> AccountEntry:
    return AccountEntry(
        id=row.id,
        transaction_id=row.transaction_id,
        type=row.type,
        entry_type=row.entry_type,
        money=Money(row.amount_minor, row.currency),
        balance=Money(row.balance_snapshot_minor, row.currency),
        description=row.description,
        created_at=row.created_at,
        transaction_at=row.transaction_at,
    )
