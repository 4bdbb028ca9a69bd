"""`wallet freeze` and `wallet unfreeze`: stop all movement of a wallet's money, and end that."""

import asyncio
import sys

from sqlmodel.ext.asyncio.session import AsyncSession

from config import Settings
from core import wallets
from core.errors import Unavailable, WalletNotFound
from core.retrying import in_transaction
from db.models import Wallet
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database


def freeze(settings: Settings, wallet_number: str) -> int:
    """Freeze an open wallet and say so.

    Returns 0, 1 if there is no such wallet, 3 if the database cannot be asked.
    """
    return _run(settings, wallet_number, frozen=True)


def unfreeze(settings: Settings, wallet_number: str) -> int:
    """Let money move again. Returns as `freeze` does."""
    return _run(settings, wallet_number, frozen=False)


def _run(settings: Settings, wallet_number: str, *, frozen: bool) -> int:
    try:
        asyncio.run(_set_frozen(settings, wallet_number, frozen=frozen))
    except WalletNotFound as error:
        print(error.detail, file=sys.stderr)
        return 1
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    if frozen:
        print(
            f"Wallet {wallet_number} is frozen: no money moves in or out until "
            f"`./wallet unfreeze {wallet_number}`."
        )
    else:
        print(f"Wallet {wallet_number} is not frozen: money moves again.")
    return 0


async def _set_frozen(settings: Settings, wallet_number: str, *, frozen: bool) -> None:
    async def change(session: AsyncSession) -> Wallet:
        return await wallets.set_frozen(session, wallet_number, frozen=frozen)

    async with open_database(settings) as database:
        await in_transaction(database, change)
