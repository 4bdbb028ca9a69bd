"""Transfers between accounts, as the two who have a part in them see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.account_errors import TransferNotFound
from core.history import TransactionState
from core.money import Money
from db.models import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferView:
    """A transfer; without `to_number` it failed because nobody has the account it named."""

    id: int
    state: TransactionState
    failure_code: str | None
    from_number: str
    to_number: str | None
    money: Money
    description: str | None
    created_at: datetime


async def read_transfer(
    session: AsyncSession, user_id: int, transaction_id: int, created_at: datetime
) -> TransferView:
    """Return the transfer with this id that was made at this time.

    Raises TransferNotFound unless the person has a part in it; another's failed attempt is not
    theirs.
    """
    connection = await session.connection()
    rows = await connection.execute(_statement(user_id, transaction_id, created_at))
    row = rows.first()
    if row is None:
        raise TransferNotFound
    return TransferView(
        id=row.id,
        state=row.state,
        failure_code=row.failure_code,
        from_number=row.from_number,
        to_number=row.to_number,
        money=Money(row.amount_minor, row.currency),
        description=row.description,
        created_at=row.created_at,
    )


def _statement(user_id: int, transaction_id: int, created_at: datetime) -> Select[Any]:
    transactions = Tables.transactions.c
    own, other = Tables.wallets.alias().c, Tables.wallets.alias().c
    return (
        select(
            Tables.transactions,
            own.wallet_number.label("from_number"),
            other.wallet_number.label("to_number"),
        )
        .join(own.id.table, own.id == transactions.wallet_id)
        .join(other.id.table, other.id == transactions.counterparty_wallet_id, isouter=True)
        .where(
            transactions.id == transaction_id,
            transactions.created_at == created_at,
            transactions.type == "transfer",
            or_(
                own.user_id == user_id,
                (other.user_id == user_id) & (transactions.state != "FAILED"),
            ),
        )
    )
