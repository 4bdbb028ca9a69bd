"""What must follow a commit: receipts, from the row written with the money until they are sent.

`core.ledger` writes the rows. Here they are handed over for a while (leased), told done, put off
after a failure, given up, and taken up again. Rows are found by their own state, never by "newer
than the last id", so that a transaction which commits late is not skipped.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Select, and_, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core import leases
from core.leases import Lease
from core.money import Money
from db.arrays import id_among
from db.models import Tables

# Longer than a worker needs from taking a receipt to having sent it. When it passes, the receipt is
# handed over again, wherever it got lost; the provider's own key keeps it from arriving twice.
LEASE: Final = timedelta(seconds=120)
# With these a provider may be away for some nine hours before a receipt is given up.
ATTEMPTS_LIMIT: Final = 15
FIRST_BACKOFF: Final = timedelta(seconds=2)
LONGEST_BACKOFF: Final = timedelta(hours=1)
ERROR_CHARACTERS_LIMIT: Final = 200
COUNTED_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt tells its recipient; `other_name` None is the outside world."""

    id: int
    transaction_id: int
    type: str
    is_sender: bool
    money: Money
    balance: Money
    date: datetime
    first_name: str
    email: str
    other_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadReceipt:
    """A receipt that was given up, and why."""

    id: int
    transaction_id: int
    email: str
    attempts: int
    last_error: str
    dead_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How many receipts wait, since when the oldest of them does, and how many were given up.

    Both counts end at COUNTED_LIMIT: so many stand for as many or more, and `oldest` is then the
    oldest of those that are due first.
    """

    waiting: int
    oldest: datetime | None
    dead: int


async def lease_due(session: AsyncSession, *, now: datetime, limit: int) -> Lease:
    """Take at most `limit` receipts that are due, the longest waiting first: see `core.leases`."""
    return await leases.lease_due(
        session, Tables.outbox, _is_open(), now=now, duration=LEASE, limit=limit
    )


async def has_due(session: AsyncSession, *, now: datetime) -> bool:
    """Whether a receipt waits; asked first because looking disturbs nobody and taking does."""
    outbox = Tables.outbox.c
    connection = await session.connection()
    statement = select(outbox.id).where(_is_open(), outbox.due_at <= now).limit(1)
    return (await connection.execute(statement)).first() is not None


async def read_receipts(session: AsyncSession, ids: Sequence[int]) -> dict[int, Receipt]:
    """Return what is to be told, for those of `ids` that are still open."""
    connection = await session.connection()
    rows = await connection.execute(
        _receipts_statement(connection.dialect.name), {"ids": list(ids)}
    )
    # Of a movement between one's own accounts the debit counts, the later of the two.
    return {row.id: _receipt(row) for row in sorted(rows, key=attrgetter("entry_type"))}


async def mark_done(session: AsyncSession, ids: Sequence[int], *, now: datetime) -> None:
    """Tell that these were sent."""
    outbox = Tables.outbox.c
    connection = await session.connection()
    await connection.execute(
        update(Tables.outbox)
        .where(id_among(connection.dialect.name, outbox.id, "ids"), outbox.done_at.is_(None))
        .values(done_at=now, dead_at=None, attempts=outbox.attempts + 1),
        {"ids": list(ids)},
    )


async def mark_failed(
    session: AsyncSession, receipt_id: int, *, error: str, permanent: bool, now: datetime
) -> bool:
    """Put a receipt off, longer each time, or give it up; return whether it was given up."""
    outbox = Tables.outbox.c
    connection = await session.connection()
    statement = select(outbox.attempts).where(outbox.id == receipt_id, _is_still_open())
    before = (await connection.execute(statement)).scalar()
    if before is None:
        return False
    attempts = before + 1
    given_up = permanent or attempts >= ATTEMPTS_LIMIT
    await connection.execute(
        update(Tables.outbox)
        .where(outbox.id == receipt_id, _is_still_open())
        .values(
            attempts=attempts,
            last_error=error[:ERROR_CHARACTERS_LIMIT],
            due_at=now + backoff(attempts),
            dead_at=now if given_up else None,
        )
    )
    return given_up


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after so many failures: doubling, bounded, with jitter."""
    longest: timedelta = min(FIRST_BACKOFF * 2 ** min(attempts - 1, 30), LONGEST_BACKOFF)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - jitter


async def list_dead(session: AsyncSession, *, limit: int = 100) -> list[DeadReceipt]:
    """Return the receipts that were given up, the latest first."""
    outbox, users = Tables.outbox.c, Tables.users.c
    connection = await session.connection()
    rows = await connection.execute(
        select(Tables.outbox, users.email)
        .join(Tables.users, users.id == outbox.user_id)
        .where(outbox.dead_at.is_not(None))
        .order_by(outbox.dead_at.desc(), outbox.id.desc())
        .limit(limit)
    )
    return [
        DeadReceipt(
            id=row.id,
            transaction_id=row.transaction_id,
            email=row.email,
            attempts=row.attempts,
            last_error=row.last_error or "",
            dead_at=row.dead_at,
        )
        for row in rows
    ]


async def revive_dead(session: AsyncSession, *, now: datetime) -> int:
    """Take up again all that were given up, as if new; return how many."""
    outbox = Tables.outbox.c
    connection = await session.connection()
    result = await connection.execute(
        update(Tables.outbox)
        .where(outbox.dead_at.is_not(None))
        .values(dead_at=None, attempts=0, due_at=now)
    )
    return result.rowcount


async def standing(session: AsyncSession) -> Standing:
    """Return how many receipts wait and were given up, looking at a bounded number of rows."""
    outbox = Tables.outbox.c
    open_ones = (
        select(outbox.created_at)
        .where(_is_open())
        .order_by(outbox.due_at)
        .limit(COUNTED_LIMIT)
        .subquery()
    )
    dead = select(outbox.id).where(outbox.dead_at.is_not(None)).limit(COUNTED_LIMIT).subquery()
    connection = await session.connection()
    row = (
        await connection.execute(
            select(
                select(func.count()).select_from(open_ones).scalar_subquery().label("waiting"),
                select(func.min(open_ones.c.created_at)).scalar_subquery().label("oldest"),
                select(func.count()).select_from(dead).scalar_subquery().label("dead"),
            )
        )
    ).one()
    return Standing(waiting=row.waiting, oldest=row.oldest, dead=row.dead)


def _is_open() -> Any:
    outbox = Tables.outbox.c
    return and_(outbox.done_at.is_(None), outbox.dead_at.is_(None))


def _is_still_open() -> Any:
    """Tell the same of rows that are found by their ids.

    Worded as the index of all open rows is, PostgreSQL took that, and read every open row for each
    message: a tenth of a second when 50,000 were open.
    """
    outbox = Tables.outbox.c
    return func.coalesce(outbox.done_at, outbox.dead_at).is_(None)


@cache
def _receipts_statement(dialect_name: str) -> Select[Any]:
    """Select what the receipts tell: the transaction, the recipient's entry, and both people."""
    outbox, transactions, entries = Tables.outbox, Tables.transactions, Tables.entries
    own_wallet, other_wallet = Tables.wallets.alias(), Tables.wallets.alias()
    person, other = Tables.users.alias(), Tables.users.alias()
    other_entry = Tables.entries.alias()
    return (
        select(
            outbox.c.id,
            outbox.c.transaction_id,
            transactions.c.type,
            transactions.c.amount_minor,
            transactions.c.currency,
            transactions.c.created_at,
            entries.c.entry_type,
            entries.c.balance_snapshot_minor,
            person.c.first_name,
            person.c.email,
            other.c.first_name.label("other_first_name"),
            other.c.last_name.label("other_last_name"),
        )
        .join(transactions, transactions.c.id == outbox.c.transaction_id)
        .join(entries, entries.c.transaction_id == transactions.c.id)
        .join(
            own_wallet,
            and_(own_wallet.c.id == entries.c.wallet_id, own_wallet.c.user_id == outbox.c.user_id),
        )
        .join(person, person.c.id == outbox.c.user_id)
        .join(
            other_entry,
            and_(
                other_entry.c.transaction_id == transactions.c.id,
                other_entry.c.entry_type != entries.c.entry_type,
            ),
        )
        .join(other_wallet, other_wallet.c.id == other_entry.c.wallet_id, isouter=True)
        .join(other, other.c.id == other_wallet.c.user_id, isouter=True)
        .where(id_among(dialect_name, outbox.c.id, "ids"), _is_still_open())
    )


def _receipt(row: Any) -> Receipt:
    other_name = f"{row.other_first_name} {row.other_last_name}" if row.other_first_name else None
    return Receipt(
        id=row.id,
        transaction_id=row.transaction_id,
        type=row.type,
        is_sender=row.entry_type == "DEBIT",
        money=Money(row.amount_minor, row.currency),
        balance=Money(row.balance_snapshot_minor, row.currency),
        date=row.created_at,
        first_name=row.first_name,
        email=row.email,
        other_name=other_name,
    )
