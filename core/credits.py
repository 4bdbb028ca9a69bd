"""Credits of those whom services name: what they hold, what moved, and the entries that prove it.

Looks only; credits move in `core.ledger`, like all else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Subquery, and_, bindparam, select

from core.account_errors import CreditUserNotFound
from core.assets import Asset
from core.commands import CreditType
from core.history import EntryType, TransactionState
from core.paging import (
    ENTRIES,
    TRANSACTIONS,
    Slice,
    cut,
    newest_of_all,
    owned_by,
    parameters_of,
)
from db.lean import LeanConnection
from db.models import Tables

# More than there are: one on PostgreSQL, and on SQLite some nine for up to 250 accounts.
_STATEMENTS_LIMIT: Final = 16


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


async def read_balance(
    connection: LeanConnection, external_user_id: str, asset: Asset
) -> CreditBalance:
    """Return what somebody holds of an asset now. Raises CreditUserNotFound."""
    accounts = await _accounts_of(connection, external_user_id, asset)
    if not accounts:
        return CreditBalance(balance_minor=0, account_id=None)
    [(account_id, balance_minor)] = accounts
    return CreditBalance(balance_minor=balance_minor, account_id=account_id)


async def read_transactions(
    connection: LeanConnection, external_user_id: str, page: CreditPage
) -> tuple[list[CreditTransaction], str | None]:
    """Return a page of somebody's transactions, newest first, and the cursor of the next one.

    Attempts that failed are among them. Raises CreditUserNotFound and InvalidCursor.
    """
    rows, next_cursor = await _page_of(
        connection, _transactions_statement, external_user_id, page, TRANSACTIONS
    )
    return [_transaction(row) for row in rows], next_cursor


async def read_ledger(
    connection: LeanConnection, external_user_id: str, page: CreditPage
) -> tuple[list[CreditEntry], str | None]:
    """Return a page of the entries on somebody's accounts, as `read_transactions` does."""
    rows, next_cursor = await _page_of(
        connection, _entries_statement, external_user_id, page, ENTRIES
    )
    return [_entry(row) for row in rows], next_cursor


async def _page_of(
    connection: LeanConnection,
    statement_of: Callable[[str, int], Select[Any]],
    external_user_id: str,
    page: CreditPage,
    of: bytes,
) -> tuple[Sequence[Any], str | None]:
    """Return a page of what is selected for so many accounts. Raises as `read_transactions`."""
    part = parameters_of(page, of)
    accounts = await _accounts_of(connection, external_user_id, page.asset)
    if not accounts:
        return [], None
    dialect_name = connection.dialect_name
    owned = owned_by(dialect_name, [account_id for account_id, _ in accounts])
    statement = statement_of(dialect_name, len(owned))
    return cut(await connection.select(statement, part | owned), page, of)


async def _accounts_of(
    connection: LeanConnection, external_user_id: str, asset: Asset | None
) -> Sequence[tuple[int, int]]:
    """Return the ids of somebody's accounts and what they hold. Raises CreditUserNotFound."""
    statement, asked = _ACCOUNTS, {"external_user_id": external_user_id}
    if asset is not None:
        statement, asked["code"] = _ACCOUNT_OF_ASSET, asset.code
    rows = await connection.select(statement, asked)
    if not rows:
        raise CreditUserNotFound
    # Who is known, and has no account, is one row without one.
    return [(account_id, minor) for account_id, minor in rows if account_id is not None]


def _accounts_statement(*conditions: ColumnElement[bool]) -> Select[Any]:
    holders, wallets = Tables.credit_holders, Tables.wallets
    held = and_(wallets.c.holder_id == holders.c.id, *conditions)
    return (
        select(wallets.c.id, wallets.c.balance_minor)
        .select_from(holders.join(wallets, held, isouter=True))
        .where(holders.c.external_user_id == bindparam("external_user_id"))
    )


_ACCOUNTS: Final = _accounts_statement()
_ACCOUNT_OF_ASSET: Final = _accounts_statement(Tables.wallets.c.currency == bindparam("code"))


@lru_cache(maxsize=_STATEMENTS_LIMIT)
def _transactions_statement(dialect_name: str, places: int) -> Select[Any]:
    transactions, assets = Tables.transactions.c, Tables.assets.c
    ids = _newest_ids(dialect_name, places, transactions)
    return (
        select(
            transactions.id,
            transactions.type,
            transactions.state,
            transactions.failure_code,
            assets.id,
            assets.scale,
            transactions.amount_minor,
            transactions.created_at,
        )
        .join(ids, ids.c.id == transactions.id)
        .join(Tables.assets, assets.code == transactions.currency)
        .order_by(transactions.id.desc())
    )


@lru_cache(maxsize=_STATEMENTS_LIMIT)
def _entries_statement(dialect_name: str, places: int) -> Select[Any]:
    entries, assets, transactions = Tables.entries.c, Tables.assets.c, Tables.transactions.c
    ids = _newest_ids(dialect_name, places, entries)
    return (
        select(
            entries.id,
            entries.transaction_id,
            entries.wallet_id,
            transactions.type,
            entries.entry_type,
            assets.id,
            assets.scale,
            entries.amount_minor,
            entries.balance_snapshot_minor,
            entries.created_at,
        )
        .join(ids, ids.c.id == entries.id)
        .join(Tables.assets, assets.code == entries.currency)
        .join(Tables.transactions, transactions.id == entries.transaction_id)
        .order_by(entries.id.desc())
    )


def _newest_ids(dialect_name: str, places: int, columns: Any) -> Subquery:
    """Select the ids of a page of a table's rows of so many accounts; see `core.paging`."""

    def of_account(account_id: ColumnElement[int]) -> Select[Any]:
        return select(columns.id).where(columns.wallet_id == account_id)

    return newest_of_all(dialect_name, places, [of_account], columns.id).subquery()


def _transaction(row: Sequence[Any]) -> CreditTransaction:
    id_, type_, state, failure_code, asset_id, scale, amount_minor, created_at = row
    return CreditTransaction(
        id=id_,
        type=type_,
        state=state,
        failure_code=failure_code,
        asset_id=asset_id,
        scale=scale,
        amount_minor=amount_minor,
        created_at=created_at,
    )


def _entry(row: Sequence[Any]) -> CreditEntry:
    id_, transaction_id, account_id, type_, entry_type, asset_id, scale, *rest = row
    amount_minor, balance_minor, created_at = rest
    sign = 1 if entry_type == "CREDIT" else -1
    return CreditEntry(
        id=id_,
        transaction_id=transaction_id,
        account_id=account_id,
        type=type_,
        entry_type=entry_type,
        asset_id=asset_id,
        scale=scale,
        signed_minor=sign * amount_minor,
        balance_minor=balance_minor,
        created_at=created_at,
    )
