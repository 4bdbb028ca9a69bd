"""What happened: the transactions of a person, newest first, and the entries of one of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, Subquery, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from core.commands import TransactionType
from core.errors import TransactionNotFound
from core.money import Money
from core.paging import TRANSACTIONS, Slice, beyond, cut, newest_of_all
from db.models import Tables

TransactionState = Literal["PROCESSING", "SUCCESS", "FAILED"]
EntryType = Literal["DEBIT", "CREDIT"]

EXTERNAL_SOURCE: Final = "External Source"
EXTERNAL_DESTINATION: Final = "External Destination"
_FROM_OUTSIDE: Final = frozenset({"deposit", "payout_returned", "payout_reversed"})
# A transfer that failed because nobody has the wallet it named.
UNKNOWN_RECIPIENT: Final = "Unknown Recipient"

# As many as a person may have open. Whoever closed others sees the latest of these too, up to here.
WALLETS_OF_A_PERSON_LIMIT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage(Slice):
    """Which part of a history: of one type, and of a time, both ends included."""

    type: TransactionType | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """One transaction as its owner sees it; `sender` and `receiver` are names."""

    id: int
    money: Money
    type: TransactionType
    date: datetime
    sender: str
    receiver: str
    state: TransactionState


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One entry; `balance_minor` is None where it would tell another person's balance."""

    id: int
    transaction_id: int
    wallet_id: int | None
    entry_type: EntryType
    money: Money
    balance_minor: int | None
    created_at: datetime


async def read_history(
    session: AsyncSession, user_id: int, page: HistoryPage, *, primary_only: bool = False
) -> tuple[list[HistoryItem], str | None]:
    """Return a page of the person's transactions and the cursor of the next one, None at the end.

    Includes closed wallets and failed attempts of one's own, but not those of others; with
    `primary_only` not those of further accounts either. Raises InvalidCursor.
    """
    connection = await session.connection()
    asked = _asked(page)
    wallet_ids = await _wallets_of(connection, user_id, primary_only=primary_only)
    if not wallet_ids:
        return [], None
    ids = newest_of_all(_roles(wallet_ids, asked), Tables.transactions.c.id, page).subquery()
    rows = (await connection.execute(_named_transactions(ids))).all()
    shown, next_cursor = cut(rows, page, TRANSACTIONS)
    return [_history_item(row) for row in shown], next_cursor


async def read_entries(session: AsyncSession, user_id: int, transaction_id: int) -> list[EntryView]:
    """Return the entries of a transaction, debit first; none if it failed.

    Raises TransactionNotFound unless the person has a part in it; another's failed attempt is
    not theirs.
    """
    connection = await session.connection()
    transactions, entries, wallets = Tables.transactions.c, Tables.entries.c, Tables.wallets.c
    own = select(wallets.id).where(wallets.user_id == user_id)
    found = await connection.execute(
        select(transactions.id).where(
            transactions.id == transaction_id,
            or_(
                transactions.wallet_id.in_(own),
                transactions.counterparty_wallet_id.in_(own) & (transactions.state != "FAILED"),
            ),
        )
    )
    if found.first() is None:
        raise TransactionNotFound
    rows = await connection.execute(
        select(Tables.entries, wallets.user_id.label("owner_id"))
        .join(Tables.wallets, wallets.id == entries.wallet_id, isouter=True)
        .where(entries.transaction_id == transaction_id)
        .order_by(entries.entry_type.desc())
    )
    return [_entry_view(row, user_id) for row in rows]


async def _wallets_of(
    connection: AsyncConnection, user_id: int, *, primary_only: bool
) -> list[int]:
    wallets = Tables.wallets.c
    which = (wallets.is_primary,) if primary_only else ()
    rows = await connection.execute(
        select(wallets.id)
        .where(wallets.user_id == user_id, *which)
        .order_by(wallets.closed_at.is_not(None), wallets.id.desc())
        .limit(WALLETS_OF_A_PERSON_LIMIT)
    )
    return [row.id for row in rows]


def _asked(page: HistoryPage) -> list[ColumnElement[bool]]:
    transactions = Tables.transactions.c
    conditions = beyond(transactions.id, page, TRANSACTIONS)
    if page.type is not None:
        conditions.append(transactions.type == page.type)
    if page.since is not None:
        conditions.append(transactions.created_at >= page.since)
    if page.until is not None:
        conditions.append(transactions.created_at <= page.until)
    return conditions


def _roles(
    wallet_ids: Sequence[int], asked: Sequence[ColumnElement[bool]]
) -> Iterator[Select[Any]]:
    """Select the ids of what each wallet did and, apart from them, of what was sent to it."""
    transactions = Tables.transactions.c
    # Part of the text, not a parameter: PostgreSQL's plan for any value takes "not this state" of a
    # column that has hardly another one to be no row at all, and would then read and sort all that
    # a wallet ever received.
    not_failed = transactions.state != literal_column("'FAILED'")
    ids = select(transactions.id).where(*asked)
    for wallet_id in wallet_ids:
        yield ids.where(transactions.wallet_id == wallet_id)
        yield ids.where(transactions.counterparty_wallet_id == wallet_id, not_failed)


def _named_transactions(ids: Subquery) -> Select[Any]:
    """Select the transactions with the names of both people, newest first."""
    transactions, payments = Tables.transactions, Tables.provider_payments
    own_wallet, other_wallet = Tables.wallets.alias(), Tables.wallets.alias()
    owner, other = Tables.users.alias(), Tables.users.alias()
    return (
        select(
            transactions,
            # To a person a payout has succeeded when it has arrived, not when it has left.
            func.coalesce(payments.c.state, transactions.c.state).label("state_told"),
            owner.c.first_name.label("owner_first_name"),
            owner.c.last_name.label("owner_last_name"),
            other.c.first_name.label("other_first_name"),
            other.c.last_name.label("other_last_name"),
        )
        .join(ids, ids.c.id == transactions.c.id)
        .join(payments, payments.c.transaction_id == transactions.c.id, isouter=True)
        .join(own_wallet, own_wallet.c.id == transactions.c.wallet_id)
        .join(owner, owner.c.id == own_wallet.c.user_id, isouter=True)
        .join(
            other_wallet, other_wallet.c.id == transactions.c.counterparty_wallet_id, isouter=True
        )
        .join(other, other.c.id == other_wallet.c.user_id, isouter=True)
        .order_by(transactions.c.id.desc())
    )


def _history_item(row: Any) -> HistoryItem:
    owner = f"{row.owner_first_name} {row.owner_last_name}"
    sender, receiver = owner, EXTERNAL_DESTINATION
    if row.type in _FROM_OUTSIDE:
        sender, receiver = EXTERNAL_SOURCE, owner
    elif row.type == "transfer":
        known = row.other_first_name is not None
        receiver = f"{row.other_first_name} {row.other_last_name}" if known else UNKNOWN_RECIPIENT
    return HistoryItem(
        id=row.id,
        money=Money(row.amount_minor, row.currency),
        type=row.type,
        date=row.created_at,
        sender=sender,
        receiver=receiver,
        state=row.state_told,
    )


def _entry_view(row: Any, user_id: int) -> EntryView:
    return EntryView(
        id=row.id,
        transaction_id=row.transaction_id,
        wallet_id=row.wallet_id,
        entry_type=row.entry_type,
        money=Money(row.amount_minor, row.currency),
        balance_minor=row.balance_snapshot_minor if row.owner_id == user_id else None,
        created_at=row.created_at,
    )
