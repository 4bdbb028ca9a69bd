"""Wallets: looking at them, and freezing them (an operator's act). Money moves in `core.ledger`."""

from datetime import UTC, datetime

from sqlalchemy import update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import WalletNotFound
from db.models import User, Wallet


async def get_open_wallet(session: AsyncSession, user_id: int) -> tuple[Wallet, User]:
    """Return the person's open wallet and the person. Raises WalletNotFound."""
    statement = (
        select(Wallet, User)
        .join(User, col(User.id) == col(Wallet.user_id))
        .where(Wallet.user_id == user_id, col(Wallet.closed_at).is_(None))
    )
    found = (await session.exec(statement)).first()
    if found is None:
        raise WalletNotFound
    return found


async def set_frozen(session: AsyncSession, wallet_number: str, *, frozen: bool) -> Wallet:
    """Freeze an open wallet, so that no money moves in or out, or end that.

    Raises WalletNotFound.
    """
    now = datetime.now(UTC)
    # Only a change is written: freezing twice does not lose the time of the first.
    unlike = col(Wallet.frozen_at).is_(None) if frozen else col(Wallet.frozen_at).is_not(None)
    await session.exec(
        update(Wallet)
        .where(col(Wallet.wallet_number) == wallet_number, col(Wallet.closed_at).is_(None), unlike)
        .values(frozen_at=now if frozen else None, updated_at=now)
    )
    statement = select(Wallet).where(
        Wallet.wallet_number == wallet_number, col(Wallet.closed_at).is_(None)
    )
    wallet = (await session.exec(statement)).first()
    if wallet is None:
        raise WalletNotFound("There is no open wallet with this number.")
    return wallet
