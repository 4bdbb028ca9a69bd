"""Wallets: looking at them, and freezing them (an operator's act). Money moves in `core.ledger`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import SelectBase, case, update
from sqlalchemy import select as select_rows
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batching import Batcher
from core.errors import WalletNotFound
from core.money import Money
from db.arrays import id_among
from db.models import Tables, Wallet
from db.session import Database

LOOKS_IN_A_BATCH: Final = 500
LOOKS_WAITING_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWallet:
    """A person's primary wallet as they see it."""

    id: int
    user_id: int
    wallet_number: str
    balance: Money
    created_at: datetime
    updated_at: datetime
    owner_name: str


class WalletReader:
    """Looks up people's primary wallets, those of everyone who asks at a time with one query."""

    def __init__(self, database: Database):
        self._database = database
        self._batcher: Batcher[int, OwnWallet | None] = Batcher(
            self._read, batch_limit=LOOKS_IN_A_BATCH, queue_limit=LOOKS_WAITING_LIMIT
        )

    async def of_person(self, user_id: int) -> OwnWallet:
        """Return the person's open primary wallet, as it is after this was asked.

        Raises WalletNotFound.
        """
        found = await self._batcher.submit(user_id)
        if found is None:
            raise WalletNotFound
        return found

    async def _read(self, user_ids: Sequence[int]) -> list[OwnWallet | None]:
        async with self._database.lean_reading() as connection:
            rows = await connection.select(
                _own_wallets_statement(connection.dialect_name), {"user_ids": list(set(user_ids))}
            )
        found = {wallet.user_id: wallet for wallet in map(_own_wallet, rows)}
        return [found.get(user_id) for user_id in user_ids]


async def set_frozen(session: AsyncSession, wallet_number: str, *, frozen: bool) -> Wallet:
    """Freeze an open wallet, so that no money moves in or out, or end that.

    Raises WalletNotFound.
    """
    now = datetime.now(UTC)
    # For one wallet time never goes back, though a clock may be behind that of another process.
    updated_at = case((col(Wallet.updated_at) > now, col(Wallet.updated_at)), else_=now)
    # Only a change is written: freezing twice does not lose the time of the first.
    unlike = col(Wallet.frozen_at).is_(None) if frozen else col(Wallet.frozen_at).is_not(None)
    await session.exec(
        update(Wallet)
        .where(col(Wallet.wallet_number) == wallet_number, col(Wallet.closed_at).is_(None), unlike)
        .values(frozen_at=now if frozen else None, updated_at=updated_at)
    )
    statement = select(Wallet).where(
        Wallet.wallet_number == wallet_number, col(Wallet.closed_at).is_(None)
    )
    wallet = (await session.exec(statement)).first()
    if wallet is None:
        raise WalletNotFound("There is no open wallet with this number.")
    return wallet


@cache
def _own_wallets_statement(dialect_name: str) -> SelectBase:
    wallets, users = Tables.wallets.c, Tables.users.c
    return (
        select_rows(
            wallets.id,
            wallets.user_id,
            wallets.wallet_number,
            wallets.balance_minor,
            wallets.currency,
            wallets.created_at,
            wallets.updated_at,
            users.first_name,
            users.last_name,
        )
        .join(Tables.users, users.id == wallets.user_id)
        .where(
            id_among(dialect_name, wallets.user_id, "user_ids"),
            wallets.is_primary,
            wallets.closed_at.is_(None),
        )
    )


def _own_wallet(row: Sequence[Any]) -> OwnWallet:
    id_, user_id, number, minor, currency, created_at, updated_at, first_name, last_name = row
    return OwnWallet(
        id=id_,
        user_id=user_id,
        wallet_number=number,
        balance=Money(minor, currency),
        created_at=created_at,
        updated_at=updated_at,
        owner_name=f"{first_name} {last_name}",
    )
