"""Credits of those whom services name: what they hold, what moved, and the entries that prove it.

Looks only; credits move in `core.ledger`, like all else.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Subquery, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from core.account_errors import CreditUserNotFound
from core.assets import Asset
from core.commands import CreditType
from core.history import EntryType, TransactionState
from core.paging import ENTRIES, TRANSACTIONS, Slice, beyond, cut, newest_of_all
from db.models import Tables

_OF_ASSET: Final = (Tables.assets.c.id.label("asset_id"), Tables.assets.c.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditBalance:
    """What somebody holds of an asset; without `account_id` they never held any."""

    balance_minor: int
    account_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditPage(Slice):
    """Which part of a list; with `asset` only what is about it."""

    asset: Asset | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTransaction:
    """An attempt to give somebody credits of the asset with `asset_id`, or to take them."""

    id: int
    type: CreditType
    state: TransactionState
    failure_code: str | None
    asset_id: int
    scale: int
    amount_minor: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditEntry:
    """One entry on somebody's account: `signed_minor` is above zero for what they were given.

    `balance_minor` is what they held of it right after.
    """

    id: int
    transaction_id: int
    account_id: int
    type: CreditType
    entry_type: EntryType
    asset_id: int
    scale: int
    signed_minor: int
    balance_minor: int
    created_at: datetime


async def read_balance(session: AsyncSession, external_user_id: str, asset: Asset) -> CreditBalance:
    """Return what somebody holds of an asset now. Raises CreditUserNotFound."""
    holders, wallets = Tables.credit_holders, Tables.wallets
    of_asset = and_(wallets.c.holder_id == holders.c.id, wallets.c.currency == asset.code)
    rows = await (await session.connection()).execute(
        select(wallets.c.id, wallets.c.balance_minor)
        .select_from(holders.join(wallets, of_asset, isouter=True))
        .where(holders.c.external_user_id == external_user_id)
    )
    row = rows.first()
    if row is None:
        raise CreditUserNotFound
    return CreditBalance(balance_minor=row.balance_minor or 0, account_id=row.id)


async def read_transactions(
    session: AsyncSession, external_user_id: str, page: CreditPage
) -> tuple[list[CreditTransaction], str | None]:
    """Return a page of somebody's transactions, newest first, and the cursor of the next one.

    Attempts that failed are among them. Raises CreditUserNotFound and InvalidCursor.
    """
    connection = await session.connection()
    transactions = Tables.transactions
    ids = await _page_of(connection, transactions, TRANSACTIONS, external_user_id, page)
    if ids is None:
        return [], None
    rows = await connection.execute(
        select(transactions, *_OF_ASSET)
        .join(ids, ids.c.id == transactions.c.id)
        .join(Tables.assets, Tables.assets.c.code == transactions.c.currency)
        .order_by(transactions.c.id.desc())
    )
    shown, next_cursor = cut(rows.all(), page, TRANSACTIONS)
    return [_transaction(row) for row in shown], next_cursor


async def read_ledger(
    session: AsyncSession, external_user_id: str, page: CreditPage
) -> tuple[list[CreditEntry], str | None]:
    """Return a page of the entries on somebody's accounts, as `read_transactions` does."""
    connection = await session.connection()
    entries, transactions = Tables.entries, Tables.transactions
    ids = await _page_of(connection, entries, ENTRIES, external_user_id, page)
    if ids is None:
        return [], None
    rows = await connection.execute(
        select(entries, transactions.c.type, *_OF_ASSET)
        .join(ids, ids.c.id == entries.c.id)
        .join(Tables.assets, Tables.assets.c.code == entries.c.currency)
        .join(transactions, transactions.c.id == entries.c.transaction_id)
        .order_by(entries.c.id.desc())
    )
    shown, next_cursor = cut(rows.all(), page, ENTRIES)
    return [_entry(row) for row in shown], next_cursor


async def _page_of(
    connection: AsyncConnection, table: Table, of: bytes, external_user_id: str, page: CreditPage
) -> Subquery | None:
    """Select the ids of a page of a table's rows; None if there is nothing to select from."""
    asked = beyond(table.c.id, page, of)
    account_ids = await _accounts_of(connection, external_user_id, page.asset)
    if not account_ids:
        return None
    ids = select(table.c.id).where(*asked)
    lists = [ids.where(table.c.wallet_id == account_id) for account_id in account_ids]
    return newest_of_all(lists, table.c.id, page).subquery()


async def _accounts_of(
    connection: AsyncConnection, external_user_id: str, asset: Asset | None
) -> list[int]:
    """Return the ids of somebody's accounts. Raises CreditUserNotFound."""
    holders, wallets = Tables.credit_holders.c, Tables.wallets.c
    found = await connection.execute(
        select(holders.id).where(holders.external_user_id == external_user_id)
    )
    holder_id = found.scalar()
    if holder_id is None:
        raise CreditUserNotFound
    accounts = select(wallets.id).where(wallets.holder_id == holder_id)
    if asset is not None:
        accounts = accounts.where(wallets.currency == asset.code)
    return list((await connection.execute(accounts)).scalars())


def _transaction(row: Any) -> CreditTransaction:
    return CreditTransaction(
        id=row.id,
        type=row.type,
        state=row.state,
        failure_code=row.failure_code,
        asset_id=row.asset_id,
        scale=row.scale,
        amount_minor=row.amount_minor,
        created_at=row.created_at,
    )


def _entry(row: Any) -> CreditEntry:
    sign = 1 if row.entry_type == "CREDIT" else -1
    return CreditEntry(
        id=row.id,
        transaction_id=row.transaction_id,
        account_id=row.wallet_id,
        type=row.type,
        entry_type=row.entry_type,
        asset_id=row.asset_id,
        scale=row.scale,
        signed_minor=sign * row.amount_minor,
        balance_minor=row.balance_snapshot_minor,
        created_at=row.created_at,
    )
