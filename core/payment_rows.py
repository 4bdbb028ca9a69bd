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

from core import leases
from core.leases import Lease
from core.money import Money
from core.payment_commands import BankAccount, Payment, PaymentKind
from core.provider import Checkout
from core.records import PAYMENT_LEASE
from db.models import Tables

PaymentState = Literal["PROCESSING", "SUCCESS", "FAILED"]

FIRST_WAIT: Final = timedelta(seconds=15)
LONGEST_WAIT: Final = timedelta(hours=1)
# Part of the text, not a parameter: a plan for any value cannot use the index of these rows alone.
IS_OPEN: Final = Tables.provider_payments.c.state == literal_column("'PROCESSING'")
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
    declined_at: datetime | None
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
    return await _one(session, views().where(Tables.provider_payments.c.reference == reference))


async def find_by_id(session: AsyncSession, payment_id: int) -> PaymentView | None:
    """Return the payment with this id."""
    return await _one(session, views().where(Tables.provider_payments.c.id == payment_id))


async def has_due(session: AsyncSession, *, now: datetime) -> bool:
    """Whether the provider has to be asked about a payment."""
    payments = Tables.provider_payments.c
    connection = await session.connection()
    statement = select(payments.id).where(IS_OPEN, payments.due_at <= now)
    return (await connection.execute(statement.limit(1))).first() is not None


async def lease_due(session: AsyncSession, *, now: datetime, limit: int) -> Lease:
    """Borrow at most `limit` payments that are due, the longest waiting first."""
    return await leases.lease_due(
        session, Tables.provider_payments, IS_OPEN, now=now, duration=PAYMENT_LEASE, limit=limit
    )


async def renew(
    session: AsyncSession, payment_id: int, *, leased_until: datetime, now: datetime
) -> bool:
    """Borrow a payment anew; False if it was lent to somebody else since, given back, or ended."""
    payments = Tables.provider_payments.c
    held = (payments.id == payment_id) & (payments.due_at == leased_until)
    return leased_until > now and await _borrow(session, held, now)


async def borrow(session: AsyncSession, reference: str, *, now: datetime) -> bool:
    """Borrow one payment; False if somebody has it, or it has ended."""
    payments = Tables.provider_payments.c
    return await _borrow(session, (payments.reference == reference) & (payments.due_at <= now), now)


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
    held = (payments.id == view.id) & (payments.due_at == view.due_at)
    return await _borrow(session, held, now, asked_at=now)


async def note_payout(
    session: AsyncSession, view: PaymentView, *, word: str, now: datetime
) -> None:
    """Write down what the provider says of a payout that it has."""
    await _change(session, view, {"due_at": now + FIRST_WAIT} | _status(word))


async def note_declined(
    session: AsyncSession, view: PaymentView, declined_at: datetime | None
) -> None:
    """Write down since when the provider says that a card was declined; None if it does not."""
    await _change(session, view, {"declined_at": declined_at})


def views() -> Select[Any]:
    """Select payments with their owners; `view_of` reads the rows."""
    payments, wallets, users = Tables.provider_payments, Tables.wallets, Tables.users
    return (
        select(payments, wallets.c.user_id, users.c.email, users.c.first_name, users.c.last_name)
        .join(wallets, wallets.c.id == payments.c.wallet_id)
        .join(users, users.c.id == wallets.c.user_id)
    )


def view_of(row: Any) -> PaymentView:
    """Read a row of `views`."""
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
        declined_at=row.declined_at,
        attention=row.attention if row.attended_at is None else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _status(word: str | None) -> dict[str, Any]:
    return {} if word is None else {"provider_status": word[:_WORD_CHARACTERS]}


async def _borrow(session: AsyncSession, condition: Any, now: datetime, **values: datetime) -> bool:
    connection = await session.connection()
    result = await connection.execute(
        update(Tables.provider_payments)
        .where(condition, IS_OPEN)
        .values(due_at=now + PAYMENT_LEASE, **values)
    )
    return result.rowcount == 1


async def _change(session: AsyncSession, view: PaymentView, values: dict[str, Any]) -> None:
    payments = Tables.provider_payments
    connection = await session.connection()
    await connection.execute(update(payments).where(payments.c.id == view.id).values(values))


async def _one(session: AsyncSession, statement: Select[Any]) -> PaymentView | None:
    connection = await session.connection()
    row = (await connection.execute(statement)).first()
    return None if row is None else view_of(row)


def _payment(row: Any) -> Payment:
    return Payment(
        reference=row.reference,
        kind=row.kind,
        transaction_id=row.transaction_id,
        wallet_id=row.wallet_id,
        money=Money(row.amount_minor, row.currency),
    )
