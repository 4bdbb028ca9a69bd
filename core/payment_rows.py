"""The rows of payments: found, borrowed for a while, and what the provider said written down.

How a payment begins and ends is written by `core.ledger` alone. Rows are borrowed as those of the
outbox are: whoever has to ask the provider puts `due_at` off, and nobody else asks before.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from sqlalchemy import Select, literal_column, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.money import Money
from core.payment_commands import BankAccount, Payment, PaymentKind
from core.provider import Checkout
from core.records import PAYMENT_LEASE
from db.models import Tables

PaymentState = Literal["PROCESSING", "SUCCESS", "FAILED"]

FIRST_WAIT: Final = timedelta(seconds=15)
LONGEST_WAIT: Final = timedelta(hours=1)
# Part of the text, not a parameter: a plan for any value cannot use the index of these rows alone.
_IS_OPEN: Final = Tables.provider_payments.c.state == literal_column("'PROCESSING'")
OUR_REFERENCE: Final = re.compile("(?:dep|pay)-[0-9a-f]{32}")
_PREFIXES: Final[dict[PaymentKind, str]] = {"deposit": "dep", "payout": "pay"}
_WORD_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """A payment as it stands.

    `asked_at` is when a deposit's page was opened, or the provider was last asked for a payout,
    whatever came of it. `attention` is what an operator has to look into.
    """

    id: int
    payment: Payment
    user_id: int
    email: str
    owner_name: str
    state: PaymentState
    failure_code: str | None
    is_reversed: bool
    bank: BankAccount | None
    checkout: Checkout | None
    recipient_code: str | None
    provider_status: str | None
    asked_at: datetime | None
    due_at: datetime
    attention: str | None
    created_at: datetime
    ended_at: datetime | None


def new_reference(kind: PaymentKind) -> str:
    """Return a new reference, made of what Paystack allows in those of both kinds."""
    return f"{_PREFIXES[kind]}-{uuid4().hex}"


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after the provider was asked so many times: 15 s to an hour."""
    return min(FIRST_WAIT * (1 << min(attempts, 20)), LONGEST_WAIT)


async def find(session: AsyncSession, reference: str) -> PaymentView | None:
    """Return the payment with this reference."""
    return await _one(session, _views().where(Tables.provider_payments.c.reference == reference))


async def find_by_id(session: AsyncSession, payment_id: int) -> PaymentView | None:
    """Return the payment with this id."""
    return await _one(session, _views().where(Tables.provider_payments.c.id == payment_id))


async def list_attention(session: AsyncSession, *, limit: int) -> list[PaymentView]:
    """Return the payments that an operator has to look into, newest first."""
    payments = Tables.provider_payments.c
    connection = await session.connection()
    statement = _views().where(payments.attention.is_not(None)).order_by(payments.id.desc())
    return [_view(row) for row in await connection.execute(statement.limit(limit))]


async def has_due(session: AsyncSession, *, now: datetime) -> bool:
    """Whether the provider has to be asked about a payment."""
    payments = Tables.provider_payments.c
    connection = await session.connection()
    statement = select(payments.id).where(_IS_OPEN, payments.due_at <= now)
    return (await connection.execute(statement.limit(1))).first() is not None


async def lease_due(session: AsyncSession, *, now: datetime, limit: int) -> list[int]:
    """Borrow at most `limit` payments that are due, the longest waiting first; return their ids."""
    payments = Tables.provider_payments.c
    due = (
        select(payments.id)
        .where(_IS_OPEN, payments.due_at <= now)
        .order_by(payments.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return await _borrow(session, payments.id.in_(due.scalar_subquery()), now)


async def borrow(session: AsyncSession, reference: str, *, now: datetime) -> bool:
    """Borrow one payment; False if somebody has it, or it has ended."""
    payments = Tables.provider_payments.c
    return bool(
        await _borrow(session, (payments.reference == reference) & (payments.due_at <= now), now)
    )


async def put_off(
    session: AsyncSession, view: PaymentView, *, word: str | None, now: datetime
) -> None:
    """Give a payment back, to be asked about later, and later each time."""
    payments = Tables.provider_payments.c
    connection = await session.connection()
    statement = select(payments.attempts).where(payments.id == view.id)
    attempts: int = (await connection.execute(statement)).scalar_one()
    values = {"attempts": attempts + 1, "due_at": now + wait_after(attempts)}
    await _change(session, view, values | _status(word))


async def give_back(session: AsyncSession, view: PaymentView, *, now: datetime) -> None:
    """Give a payment back as it was, for whoever tries next."""
    await _change(session, view, {"due_at": now})


async def note_checkout(
    session: AsyncSession, view: PaymentView, checkout: Checkout, *, now: datetime
) -> None:
    """Write down where a person pays."""
    values = {
        "authorization_url": checkout.authorization_url,
        "access_code": checkout.access_code,
        "asked_at": now,
        "due_at": now + FIRST_WAIT,
    }
    await _change(session, view, values)


async def note_recipient(session: AsyncSession, view: PaymentView, recipient_code: str) -> None:
    """Write down the provider's code of the account."""
    await _change(session, view, {"recipient_code": recipient_code})


async def note_asking(session: AsyncSession, view: PaymentView, *, now: datetime) -> bool:
    """Write down that the provider is about to be asked for a payout, and borrow it anew.

    False if whoever looked at it as `view` has it no more: then somebody else asks.
    """
    payments = Tables.provider_payments.c
    connection = await session.connection()
    result = await connection.execute(
        update(Tables.provider_payments)
        .where(payments.id == view.id, payments.due_at == view.due_at, _IS_OPEN)
        .values(asked_at=now, due_at=now + PAYMENT_LEASE)
    )
    return result.rowcount == 1


async def note_payout(
    session: AsyncSession, view: PaymentView, *, word: str, now: datetime
) -> None:
    """Write down what the provider says of a payout that it has."""
    await _change(session, view, {"due_at": now + FIRST_WAIT} | _status(word))


async def note_attention(session: AsyncSession, view: PaymentView, attention: str) -> None:
    """Write down what an operator has to look into."""
    await _change(session, view, {"attention": attention})


def _status(word: str | None) -> dict[str, Any]:
    return {} if word is None else {"provider_status": word[:_WORD_CHARACTERS]}


async def _borrow(session: AsyncSession, condition: Any, now: datetime) -> list[int]:
    payments = Tables.provider_payments.c
    connection = await session.connection()
    rows = await connection.execute(
        update(Tables.provider_payments)
        .where(condition, _IS_OPEN)
        .values(due_at=now + PAYMENT_LEASE)
        .returning(payments.id)
    )
    return sorted(row.id for row in rows)


async def _change(session: AsyncSession, view: PaymentView, values: dict[str, Any]) -> None:
    payments = Tables.provider_payments
    connection = await session.connection()
    await connection.execute(update(payments).where(payments.c.id == view.id).values(values))


async def _one(session: AsyncSession, statement: Select[Any]) -> PaymentView | None:
    connection = await session.connection()
    row = (await connection.execute(statement)).first()
    return None if row is None else _view(row)


def _views() -> Select[Any]:
    payments, wallets, users = Tables.provider_payments, Tables.wallets, Tables.users
    return (
        select(payments, wallets.c.user_id, users.c.email, users.c.first_name, users.c.last_name)
        .join(wallets, wallets.c.id == payments.c.wallet_id)
        .join(users, users.c.id == wallets.c.user_id)
    )


def _view(row: Any) -> PaymentView:
    bank, checkout = None, None
    if row.bank_code is not None:
        bank = BankAccount(bank_code=row.bank_code, number=row.account_number)
    if row.authorization_url is not None:
        checkout = Checkout(authorization_url=row.authorization_url, access_code=row.access_code)
    return PaymentView(
        id=row.id,
        payment=_payment(row),
        user_id=row.user_id,
        email=row.email,
        owner_name=f"{row.first_name} {row.last_name}",
        state=row.state,
        failure_code=row.failure_code,
        is_reversed=row.reversing_transaction_id is not None,
        bank=bank,
        checkout=checkout,
        recipient_code=row.recipient_code,
        provider_status=row.provider_status,
        asked_at=row.asked_at,
        due_at=row.due_at,
        attention=row.attention,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _payment(row: Any) -> Payment:
    return Payment(
        reference=row.reference,
        kind=row.kind,
        transaction_id=row.transaction_id,
        wallet_id=row.wallet_id,
        money=Money(row.amount_minor, row.currency),
    )
