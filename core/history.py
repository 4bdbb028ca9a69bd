"""What happened: the transactions of a person, newest first, and the entries of one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, get_args

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)

from core.commands import TransactionType
from core.errors import TransactionNotFound
from core.money import Money
from core.paging import (
    TRANSACTIONS,
    Slice,
    cut,
    newest_of_all,
    owned_by,
    owners_among,
    parameters_of,
)
from core.times import of_times, parameters_of_times
from db.lean import LeanConnection
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
# More than there are on PostgreSQL: for each type, and with a time or two.
_STATEMENTS_LIMIT: Final = 128


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
    connection: LeanConnection, user_id: int, page: HistoryPage, *, primary_only: bool = False
) -> tuple[list[HistoryItem], str | None]:
    """Return a page of the person's transactions and the cursor of the next one, None at the end.

    Includes closed wallets and failed attempts of one's own, but not those of others; with
    `primary_only` not those of further accounts either. Raises InvalidCursor.
    """
    part = parameters_of(page, TRANSACTIONS)
    times = parameters_of_times(page.since, page.until)
    statement = _PRIMARY_WALLETS if primary_only else _WALLETS
    wallets = await connection.select(statement, {"user_id": user_id})
    if not wallets:
        return [], None
    dialect_name = connection.dialect_name
    owned = owned_by(dialect_name, [wallet_id for (wallet_id,) in wallets])
    statement = _history_statement(dialect_name, len(owned), page.type, frozenset(times))
    rows = await connection.select(statement, part | times | owned)
    shown, next_cursor = cut(rows, page, TRANSACTIONS)
    return [_history_item(row) for row in shown], next_cursor


async def read_entries(
    connection: LeanConnection, user_id: int, transaction_id: int
) -> list[EntryView]:
    """Return the entries of a transaction, debit first; none if it failed.

    Raises TransactionNotFound unless the person has a part in it; another's failed attempt is
    not theirs.
    """
    asked = {"transaction_id": transaction_id, "user_id": user_id}
    rows = await connection.select(_ENTRIES, asked)
    if not rows:
        raise TransactionNotFound
    # A transaction without entries is one row, of which nothing is an entry.
    return [_entry_view(row, user_id) for row in rows if row[0] is not None]


_WALLETS: Final = (
    select(Tables.wallets.c.id)
    .where(Tables.wallets.c.user_id == bindparam("user_id"))
    .order_by(Tables.wallets.c.closed_at.is_not(None), Tables.wallets.c.id.desc())
    .limit(WALLETS_OF_A_PERSON_LIMIT)
)
_PRIMARY_WALLETS: Final = _WALLETS.where(Tables.wallets.c.is_primary)


@lru_cache(maxsize=_STATEMENTS_LIMIT)
def _history_statement(
    dialect_name: str, places: int, type_: TransactionType | None, times: frozenset[str]
) -> Select[Any]:
    """Select a page of what so many wallets did; see `core.paging`."""
    transactions = Tables.transactions.c
    ids = select(transactions.id).where(*[_IS_OF[type_]] if type_ else ())
    is_of_times = of_times(owners_among(dialect_name, places), times)

    def asked_of(wallet_id: ColumnElement[int]) -> Select[Any]:
        return ids.where(transactions.wallet_id == wallet_id, *is_of_times(wallet_id))

    def sent_to(wallet_id: ColumnElement[int]) -> Select[Any]:
        is_sent = transactions.counterparty_wallet_id == wallet_id, _NOT_FAILED
        return ids.where(*is_sent, *is_of_times(wallet_id))

    # A person's wallet is the other one in nothing but transfers.
    lists = [asked_of, sent_to] if type_ in {None, "transfer"} else [asked_of]
    page = newest_of_all(dialect_name, places, lists, transactions.id)
    return _named_transactions(page.subquery())


def _is_of(type_: TransactionType) -> ColumnElement[bool]:
    """Tell it in the words of the index of what is no transfer."""
    column = Tables.transactions.c.type
    is_it = column == literal_column(f"'{type_}'")
    return is_it if type_ == "transfer" else and_(is_it, column != literal_column("'transfer'"))


# What stands in the text here, and is no parameter, is so because PostgreSQL has one plan for all
# values of a parameter. "Not this state" of a column that has hardly another one would be taken to
# be no row at all, and all that a wallet ever received would be read and sorted.
_IS_OF: Final = {type_: _is_of(type_) for type_ in get_args(TransactionType)}
_NOT_FAILED: Final = Tables.transactions.c.state != literal_column("'FAILED'")


def _named_transactions(ids: Subquery) -> Select[Any]:
    """Select the transactions with the names of both people, newest first."""
    transactions, payments = Tables.transactions.c, Tables.provider_payments
    own_wallet, other_wallet = Tables.wallets.alias(), Tables.wallets.alias()
    owner, other = Tables.users.alias(), Tables.users.alias()
    return (
        select(
            transactions.id,
            transactions.amount_minor,
            transactions.currency,
            transactions.type,
            transactions.created_at,
            # To a person a payout has succeeded when it has arrived, not when it has left.
            func.coalesce(payments.c.state, transactions.state),
            owner.c.first_name,
            owner.c.last_name,
            other.c.first_name,
            other.c.last_name,
        )
        .join(ids, ids.c.id == transactions.id)
        .join(payments, payments.c.transaction_id == transactions.id, isouter=True)
        .join(own_wallet, own_wallet.c.id == transactions.wallet_id)
        .join(owner, owner.c.id == own_wallet.c.user_id, isouter=True)
        .join(other_wallet, other_wallet.c.id == transactions.counterparty_wallet_id, isouter=True)
        .join(other, other.c.id == other_wallet.c.user_id, isouter=True)
        .order_by(transactions.id.desc())
    )


def _entries_statement() -> Select[Any]:
    """Select the entries of a transaction that a person has a part in."""
    transactions, entries, wallets = Tables.transactions, Tables.entries, Tables.wallets
    user_id: BindParameter[int] = bindparam("user_id")
    own = select(wallets.c.id).where(wallets.c.user_id == user_id)
    other = wallets.alias()
    return (
        select(
            entries.c.id,
            entries.c.transaction_id,
            entries.c.wallet_id,
            entries.c.entry_type,
            entries.c.amount_minor,
            entries.c.currency,
            entries.c.balance_snapshot_minor,
            entries.c.created_at,
            other.c.user_id,
        )
        .select_from(transactions)
        .join(entries, entries.c.transaction_id == transactions.c.id, isouter=True)
        .join(other, other.c.id == entries.c.wallet_id, isouter=True)
        .where(
            transactions.c.id == bindparam("transaction_id"),
            or_(
                transactions.c.wallet_id.in_(own),
                transactions.c.counterparty_wallet_id.in_(own) & (transactions.c.state != "FAILED"),
            ),
        )
        .order_by(entries.c.entry_type.desc())
    )


_ENTRIES: Final = _entries_statement()


def _history_item(row: Sequence[Any]) -> HistoryItem:
    id_, minor, currency, type_, date, state, *names = row
    owner_first, owner_last, other_first, other_last = names
    owner = f"{owner_first} {owner_last}"
    sender, receiver = owner, EXTERNAL_DESTINATION
    if type_ in _FROM_OUTSIDE:
        sender, receiver = EXTERNAL_SOURCE, owner
    elif type_ == "transfer":
        receiver = UNKNOWN_RECIPIENT if other_first is None else f"{other_first} {other_last}"
    return HistoryItem(
        id=id_,
        money=Money(minor, currency),
        type=type_,
        date=date,
        sender=sender,
        receiver=receiver,
        state=state,
    )


def _entry_view(row: Sequence[Any], user_id: int) -> EntryView:
    id_, transaction_id, wallet_id, entry_type, minor, currency, balance, at, owner_id = row
    return EntryView(
        id=id_,
        transaction_id=transaction_id,
        wallet_id=wallet_id,
        entry_type=entry_type,
        money=Money(minor, currency),
        balance_minor=balance if owner_id == user_id else None,
        created_at=at,
    )
