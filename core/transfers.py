"""Transfers between accounts, as the two who have a part in them see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, Select, bindparam, or_, select

from core.account_errors import TransferNotFound
from core.history import TransactionState
from core.money import Money
from db.lean import LeanConnection
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
    connection: LeanConnection, user_id: int, transaction_id: int, created_at: datetime
) -> TransferView:
    """Return the transfer with this id that was made at this time.

    Raises TransferNotFound unless the person has a part in it; another's failed attempt is not
    theirs.
    """
    rows = await connection.select(
        _TRANSFER,
        {"user_id": user_id, "transaction_id": transaction_id, "created_at": created_at},
    )
    if not rows:
        raise TransferNotFound
    state, failure_code, from_number, to_number, minor, currency, description = rows[0]
    return TransferView(
        id=transaction_id,
        state=state,
        failure_code=failure_code,
        from_number=from_number,
        to_number=to_number,
        money=Money(minor, currency),
        description=description,
        created_at=created_at,
    )


def _statement() -> Select[Any]:
    transactions = Tables.transactions.c
    own, other = Tables.wallets.alias().c, Tables.wallets.alias().c
    user_id: BindParameter[int] = bindparam("user_id")
    return (
        select(
            transactions.state,
            transactions.failure_code,
            own.wallet_number,
            other.wallet_number,
            transactions.amount_minor,
            transactions.currency,
            transactions.description,
        )
        .join(own.id.table, own.id == transactions.wallet_id)
        .join(other.id.table, other.id == transactions.counterparty_wallet_id, isouter=True)
        .where(
            transactions.id == bindparam("transaction_id"),
            transactions.created_at == bindparam("created_at"),
            transactions.type == "transfer",
            or_(
                own.user_id == user_id,
                (other.user_id == user_id) & (transactions.state != "FAILED"),
            ),
        )
    )


_TRANSFER: Final = _statement()
