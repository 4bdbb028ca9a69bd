"""`wallet outbox`: the receipts that could not be sent, and sending them again."""

import asyncio
import sys
from datetime import UTC, datetime

from rich.table import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from config import Settings
from core.errors import Unavailable
from core.outbox import DeadReceipt, list_dead, revive_dead, standing
from core.retrying import in_transaction
from operations.database import NOT_READY_EXIT_CODE, DatabaseNotReadyError, open_database
from operations.tables import print_table

DEAD_EXIT_CODE = 1


def show(settings: Settings) -> int:
    """List the receipts that were given up, and since when others wait.

    Returns 0 if none was given up, 1 if some were, 3 if the database cannot be asked.
    """
    try:
        dead, waiting_since = asyncio.run(_read(settings))
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    waiting = f"since {waiting_since:%Y-%m-%d %H:%M:%S} UTC" if waiting_since else "for none"
    print(f"Receipts wait to be sent: {waiting}.")
    if not dead:
        print("No receipt was given up.")
        return 0
    _print_table(dead)
    print("Send them again with `./wallet outbox --resend`, once what was wrong is mended.")
    return DEAD_EXIT_CODE


def resend(settings: Settings) -> int:
    """Take up again all that were given up. Returns 0, or 3 as `show` does."""
    try:
        count = asyncio.run(_resend(settings))
    except (DatabaseNotReadyError, Unavailable) as error:
        print(error, file=sys.stderr)
        return NOT_READY_EXIT_CODE
    print(f"{count} receipts are taken up again; a running worker sends them.")
    return 0


async def _read(settings: Settings) -> tuple[list[DeadReceipt], datetime | None]:
    async with open_database(settings) as database, database.reading() as session:
        return await list_dead(session), (await standing(session)).oldest


async def _resend(settings: Settings) -> int:
    async def revive(session: AsyncSession) -> int:
        return await revive_dead(session, now=datetime.now(UTC))

    async with open_database(settings) as database:
        return await in_transaction(database, revive)


def _print_table(dead: list[DeadReceipt]) -> None:
    table = Table("Receipt", "Transaction", "To", "Tried", "Given up (UTC)", "Because")
    for item in dead:
        table.add_row(
            str(item.id),
            str(item.transaction_id),
            item.email,
            str(item.attempts),
            f"{item.dead_at:%Y-%m-%d %H:%M:%S}",
            item.last_error,
        )
    print_table(table)
