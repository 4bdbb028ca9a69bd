"""What operators have to look into about payments: noted, listed, counted, and done with.

A reason that an operator is done with is not noted again for the same payment; another one is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.outbox import COUNTED_LIMIT
from core.payment_rows import IS_OPEN, PaymentView, view_of, views
from db.models import Tables

NOTE_CHARACTERS_LIMIT: Final = 200
# What the wallet refuses to take although it is there, and why: it is tried again all the same.
_NOT_BOOKED: Final = "not_booked:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsStanding:
    """How many payments are due to be asked about, and how many need an operator.

    Both counts end at COUNTED_LIMIT: so many stand for as many or more.
    """

    due: int
    attention: int


async def list_attention(session: AsyncSession, *, limit: int) -> list[PaymentView]:
    """Return the payments that an operator has to look into, newest first."""
    payments = Tables.provider_payments.c
    connection = await session.connection()
    statement = views().where(_needs_attention()).order_by(payments.id.desc())
    return [view_of(row) for row in await connection.execute(statement.limit(limit))]


async def standing(session: AsyncSession, *, now: datetime) -> PaymentsStanding:
    """Return how payments stand, looking at a bounded number of rows."""
    payments = Tables.provider_payments.c
    counts = [
        select(func.count()).select_from(
            select(payments.id).where(condition).limit(COUNTED_LIMIT).subquery()
        )
        for condition in (and_(IS_OPEN, payments.due_at <= now), _needs_attention())
    ]
    connection = await session.connection()
    statement = select(*(count.scalar_subquery() for count in counts))
    due, attention = (await connection.execute(statement)).one()
    return PaymentsStanding(due=due, attention=attention)


async def note(session: AsyncSession, view: PaymentView, reason: str) -> None:
    """Have operators look into a payment, unless they are done with that reason."""
    await _note(session, view, reason, True)


async def note_not_booked(
    session: AsyncSession, view: PaymentView, what: str, *, code: str
) -> None:
    """Have operators look into an end, or what comes back, that the wallet refuses by `code`."""
    payments = Tables.provider_payments.c
    is_due = IS_OPEN if what == "end" else payments.reversing_transaction_id.is_(None)
    await _note(session, view, f"{_NOT_BOOKED}{code}", is_due)


async def clear_booked(session: AsyncSession, view: PaymentView) -> None:
    """Let nobody look into a payment because it could not be booked: it is."""
    payments = Tables.provider_payments
    connection = await session.connection()
    await connection.execute(
        update(payments)
        .where(
            payments.c.id == view.id, payments.c.attention.startswith(_NOT_BOOKED, autoescape=True)
        )
        .values(attention=None, attended_at=None, attention_note=None)
    )


async def attend(
    session: AsyncSession, view: PaymentView, *, note_of_operator: str, now: datetime
) -> None:
    """Be done with what a payment needed, and keep why."""
    payments = Tables.provider_payments
    connection = await session.connection()
    await connection.execute(
        update(payments)
        .where(payments.c.id == view.id, _needs_attention())
        .values(attended_at=now, attention_note=note_of_operator[:NOTE_CHARACTERS_LIMIT])
    )


async def _note(session: AsyncSession, view: PaymentView, reason: str, condition: Any) -> None:
    payments = Tables.provider_payments
    is_news = or_(payments.c.attention.is_(None), payments.c.attention != reason)
    connection = await session.connection()
    await connection.execute(
        update(payments)
        .where(payments.c.id == view.id, is_news, condition)
        .values(attention=reason, attended_at=None, attention_note=None)
    )


def _needs_attention() -> Any:
    payments = Tables.provider_payments.c
    return and_(payments.attention.is_not(None), payments.attended_at.is_(None))
